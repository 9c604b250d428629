"""From the log to everyone it concerns: in log order, and encoded as seldom as possible."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from chatd.core.fanout import Fanout
from chatd.core.formats import FORMATS, Format
from chatd.core.presence import Presence
from chatd.core.session import Session
from chatd.messagelog.base import AppendResult, Entry, NewMessage
from common.messages.base import Error
from common.messages.chat import Ack
from tests.support.fakes import EPOCH_NS, detached_session
from tests.support.log_harness import audience
from tests.support.service_harness import ServiceHarness

IDENTITIES = range(1, 7)


class AppendCase(NamedTuple):
    """What somebody said, to several one after the other, and what the log made of it."""

    author: int
    recipients: list[int | None]
    ref: str | None
    kind: str
    origin: str


APPEND_CASES = st.builds(
    AppendCase,
    st.sampled_from(IDENTITIES),
    st.lists(st.none() | st.sampled_from(IDENTITIES), min_size=1, max_size=4),
    st.sampled_from([None, "r"]),
    st.sampled_from(["stored", "stored", "stored", "duplicate", "failed"]),
    st.sampled_from(["a connection", "a lost connection", "another node"]),
)


class FanoutHarness:
    """A fan-out and six people: four live, one whose replay is not over, one who left."""

    def __init__(self, formats: Sequence[Format]) -> None:
        presence = Presence()
        self.fanout = Fanout(presence)
        self.sessions = [detached_session(*one) for one in zip(IDENTITIES, formats, strict=True)]
        self._ids = iter(range(1, 1_000))
        for session in self.sessions[:5]:
            presence.join(session)
        for session in self.sessions[:4]:
            presence.start_live(session)
        self.sessions[5].close("left")

    def commit(self, case: AppendCase) -> AppendResult[Session]:
        """Return the result of `case`."""
        sender: Session | None
        sender = self.sessions[case.author - 1]
        ref = case.ref if sender.send_queue.format is Format.V1 else None
        if case.origin == "a lost connection":
            sender = detached_session(case.author, sender.send_queue.format)
            sender.close("connection lost")
        sender.inflight.add(len(case.recipients))
        if case.origin == "another node":
            sender.inflight.done(len(case.recipients))
            sender = None
        name = f"user {case.author}"
        messages = [
            NewMessage(case.author, name, "hi", EPOCH_NS, 3, audience(recipient), "you", ref)
            for recipient in case.recipients
        ]
        match case.kind:
            case "stored":
                entries = [Entry(next(self._ids), new_message) for new_message in messages]
                return AppendResult("stored", entries, sender)
            case "duplicate":
                return AppendResult(
                    "duplicate", [Entry(1, new_message) for new_message in messages], sender
                )
        failed = [Entry(0, new_message) for new_message in messages]
        return AppendResult("failed", failed, sender, "the disk is full")


def expected(reader: Session, results: Sequence[AppendResult[Session]]) -> bytes:
    """Return what `reader` is to be sent, worked out for that reader alone."""
    stream, wire_format = b"", reader.send_queue.format
    if reader.is_closing:
        return stream
    for result in results:
        for entry in result.entries:
            ref = entry.message.ref
            if (
                result.kind == "stored"
                and reader.is_live
                and entry.message.delivered_to(reader.identity)
            ):
                stream += wire_format.encode_entries([entry])
            if result.sender is not reader:
                continue
            if result.kind == "failed":
                detail = "the message was not stored and not delivered: the disk is full"
                stream += wire_format.encode([Error("storage_failed", detail, ref=ref or UNSET)])
            elif ref is not None:
                is_duplicate = result.kind == "duplicate" or UNSET
                stream += wire_format.encode([Ack(ref, entry.id, is_duplicate)])
    return stream


@settings(max_examples=300, deadline=None)
@given(
    formats=st.lists(st.sampled_from(FORMATS), min_size=6, max_size=6),
    batches=st.lists(st.lists(APPEND_CASES, max_size=8), max_size=4),
)
def test_everyone_gets_what_the_log_committed_in_its_order(
    formats: list[Format], batches: list[list[AppendCase]]
) -> None:
    harness = FanoutHarness(formats)
    committed = [[harness.commit(case) for case in batch] for batch in batches]
    for results in committed:
        harness.fanout.deliver(results)
    everything = [result for results in committed for result in results]
    for reader in harness.sessions:
        assert reader.send_queue.take(10**9) == expected(reader, everything)
    senders = [result.sender for result in everything if result.sender is not None]
    assert all(sender.inflight.count == 0 for sender in senders)


async def test_a_broadcast_is_encoded_once_for_each_format_that_is_spoken(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [await harness.register(f"user {number}", version=number % 2) for number in range(10)]
    encoded: list[tuple[Format, int]] = []
    encode_entries = Format.encode_entries

    def counted(wire_format: Format, entries: Iterable[Entry]) -> bytes:
        entries = list(entries)
        encoded.extend((wire_format, entry.id) for entry in entries)
        return encode_entries(wire_format, entries)

    monkeypatch.setattr(Format, "encode_entries", counted)
    for author in members[:2]:
        await author.send("outgoing_broadcast", content="hey")
    harness.scheduler.run()
    assert Counter(encoded) == Counter(
        (wire_format, number) for wire_format in (Format.LEGACY, Format.V1) for number in (1, 2)
    )


@pytest.mark.parametrize("version", [0, 1])
async def test_those_who_get_the_same_share_the_same_bytes(
    harness: ServiceHarness, version: int
) -> None:
    ann, bob, *others = [await harness.register(name, version=version) for name in "abcdef"]
    await ann.send("outgoing_broadcast", content="one")
    await bob.send("outgoing_broadcast", content="two")
    await ann.send("outgoing", to="b", content="three")
    harness.scheduler.run()
    first, *rest = [other.session.send_queue.take(1_000_000) for other in others]
    assert first.count(b"\n") == 2
    assert all(taken is first for taken in rest)


async def test_who_is_served_individually_by_a_direct_message_gets_it_in_its_place(
    harness: ServiceHarness,
) -> None:
    ann, bob = await harness.register("ann"), await harness.register("bob")
    await ann.send("outgoing_broadcast", content="one")
    await ann.send("outgoing", to="bob", content="two")
    await ann.send("outgoing_broadcast", content="three")
    assert [message["content"] for message in bob.received()] == ["one", "two", "three"]


async def test_the_newest_id_delivered_is_known_to_the_send_queue_that_handed_it_over(
    harness: ServiceHarness,
) -> None:
    ann, bob = await harness.client("ann"), await harness.client("bob")
    await ann.broadcast("one", "two")
    assert bob.session.send_queue.last_sent_id == 0
    bob.lines()
    assert bob.session.send_queue.last_sent_id == harness.fanout.last == 2
