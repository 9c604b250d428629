"""Checks the journals of all clients against the promises of the protocol, without I/O.

The ref of a message identifies it, and is its content too. Its id is its position in the total
order.

A log with retention may have deleted older messages if it reported a gap to each reader that
missed one of them. It deletes the ref with the message. A message that is sent again after that may
be in the log twice.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from tests.torture.journal import Acked, CaughtUp, Gapped, Row, Seen, Sent, Started, Unexpected

MAX_EXAMPLES: Final = 3
"""Broken cases of a promise that are listed in words."""


class Promise(Struct, frozen=True):
    """How often a promise was `checked` and how often it was `broken`, with examples."""

    text: str
    checked: int
    broken: int
    examples: Sequence[str]


class Delivery(Struct, frozen=True):
    """A message that came to `reader`; `before` is the id of the message before it, or 0.

    `is_repeat`: the first message after a restart is the last one before it. The reader was killed
    before its library had recorded that message.
    """

    reader: str
    seen: Seen
    before: int
    is_repeat: bool


class GapNotice(Struct, frozen=True):
    """A gap reported to `reader`: of what comes after id `after`, `first` is the oldest."""

    reader: str
    after: int
    first: int


class Facts:
    """What the journals say about each message; the log keeps the newest `keep` (0: all)."""

    def __init__(self, journals: Mapping[str, Sequence[Row]], keep: int = 0) -> None:
        self.keep = keep
        self.clients = list(journals)
        self.starts = 0
        self.authors: dict[str, str] = {}
        self.recipients: dict[str, str | None] = {}
        self.acks: list[Acked] = []
        self.deliveries: list[Delivery] = []
        self.gaps: list[GapNotice] = []
        self.unexpected: list[str] = []
        for client, rows in journals.items():
            self._take(client, rows)
        self.acked = {ack.ref: ack.id for ack in reversed(self.acks)}
        """The id that each message was first acknowledged with."""
        ids = [*(ack.id for ack in self.acks), *(one.seen.id for one in self.deliveries)]
        self.first_kept = max(ids, default=0) - keep + 1 if keep else 1
        """The oldest id that the log must have in the end."""
        self.ids_by_reader: defaultdict[str, dict[str, list[int]]] = defaultdict(dict)
        """The ids under which a message came, by message and reader, without repeats."""
        for delivery in self.deliveries:
            if not delivery.is_repeat:
                by_reader = self.ids_by_reader[delivery.seen.ref]
                by_reader.setdefault(delivery.reader, []).append(delivery.seen.id)

    def _take(self, client: str, rows: Sequence[Row]) -> None:
        last: Seen | None = None
        position = 0
        is_first = False
        for row in rows:
            match row:
                case Started():
                    self.starts += 1
                    is_first = True
                case Sent():
                    self.authors[row.ref], self.recipients[row.ref] = client, row.to
                case Acked():
                    self.acks.append(row)
                case Seen():
                    is_repeat = is_first and row == last
                    before = last.id if last is not None else 0
                    self.deliveries.append(Delivery(client, row, before, is_repeat))
                    last, is_first = row, False
                    position = max(position, row.id)
                case Gapped():
                    self.gaps.append(GapNotice(client, position, row.first))
                case CaughtUp():
                    position = max(position, row.last)
                    if row.gap and not self.keep:
                        self.unexpected.append(f"{client}: a gap before {row.last}")
                case Unexpected():
                    self.unexpected.append(f"{client}: {row.what}")

    @property
    def expected_deliveries(self) -> int:
        """How many messages must have come, counted once for each reader."""
        return sum(len(self.readers(ref)) for ref in self.acked)

    def readers(self, ref: str) -> list[str]:
        """Return the clients that must see a message: its recipient, or all but its author."""
        if ref not in self.authors:
            return []
        to = self.recipients[ref]
        return [to] if to else [client for client in self.clients if client != self.authors[ref]]

    def was_notified(self, reader: str, number: int) -> bool:
        """Whether a gap told `reader` that the message with this id is no longer kept."""
        return number < self.first_kept and any(
            gap.reader == reader and gap.after < number < gap.first for gap in self.gaps
        )

    def are_independent(self, ids: Collection[int]) -> bool:
        """Whether a message may have all these ids, because its ref was deleted in between."""
        return all(
            self.keep and later - earlier > self.keep for earlier, later in pairwise(sorted(ids))
        )


def check(facts: Facts) -> list[Promise]:
    """Return every promise with the number of times that it was broken."""
    came, sent, acks = len(facts.deliveries), len(facts.authors), len(facts.acks)
    return [
        promise(
            "each acknowledged message was seen by all it is for",
            facts.expected_deliveries,
            _lost(facts),
        ),
        promise("nobody saw a message twice", came, _duplicated(facts)),
        promise("all saw the same order", came, _reordered(facts)),
        promise("what was acknowledged came, under the id in the ack", acks, _phantom(facts)),
        promise("nobody saw what was never sent, or is not for them", came, _misdelivered(facts)),
        promise("all that was sent is acknowledged in the end", sent, _unacknowledged(facts)),
        promise("nobody got an error or another log", facts.starts, facts.unexpected),
        promise("no gap is of what must be kept", facts.starts, _wrong_gaps(facts)),
    ]


def promise(text: str, checked: int, broken: Iterable[str]) -> Promise:
    """Return a promise, given a sentence for each time that it was broken."""
    cases = list(broken)
    return Promise(text, checked, len(cases), cases[:MAX_EXAMPLES])


def _lost(facts: Facts) -> Iterator[str]:
    for ref, number in facts.acked.items():
        for reader in facts.readers(ref):
            if reader not in facts.ids_by_reader[ref] and not facts.was_notified(reader, number):
                yield f"{ref}, acknowledged as {number}, never came to {reader}"


def _duplicated(facts: Facts) -> Iterator[str]:
    for ref, by_reader in facts.ids_by_reader.items():
        for reader, ids in by_reader.items():
            if not facts.are_independent(ids):
                yield f"{ref} came to {reader} {len(ids)} times, as {', '.join(map(str, ids))}"


def _reordered(facts: Facts) -> Iterator[str]:
    for delivery in facts.deliveries:
        seen = delivery.seen
        if seen.id <= delivery.before and not delivery.is_repeat:
            yield f"{seen.ref} came to {delivery.reader} as {seen.id}, after {delivery.before}"
    refs: defaultdict[int, set[str]] = defaultdict(set)
    for ref, by_reader in facts.ids_by_reader.items():
        ids = {number for numbers in by_reader.values() for number in numbers}
        if not facts.are_independent(ids):
            yield f"{ref} is {' and '.join(map(str, sorted(ids)))}"
        for number in ids:
            refs[number].add(ref)
    for number, those in refs.items():
        if len(those) > 1:
            yield f"{number} is {' and '.join(sorted(those))}"


def _phantom(facts: Facts) -> Iterator[str]:
    for ack in facts.acks:
        ids = {number for ids in facts.ids_by_reader[ack.ref].values() for number in ids}
        if not ids:
            if not all(facts.was_notified(reader, ack.id) for reader in facts.readers(ack.ref)):
                yield f"{ack.ref} was acknowledged as {ack.id}, and nobody saw it"
        elif not facts.are_independent({*ids, ack.id}):
            seen = " and ".join(map(str, sorted(ids)))
            yield f"{ack.ref} was acknowledged as {ack.id}, and came as {seen}"


def _misdelivered(facts: Facts) -> Iterator[str]:
    for delivery in facts.deliveries:
        seen, reader = delivery.seen, delivery.reader
        if facts.authors.get(seen.ref) != seen.author:
            yield f"{seen.ref} came to {reader} from {seen.author}, who never sent it"
        elif reader not in facts.readers(seen.ref):
            yield f"{seen.ref} came to {reader}, whom it is not for"
        elif seen.is_direct != (facts.recipients[seen.ref] is not None):
            to = "one" if seen.is_direct else "all"
            yield f"{seen.ref} came to {reader} as a message to {to}"


def _unacknowledged(facts: Facts) -> Iterator[str]:
    for ref, author in facts.authors.items():
        if ref not in facts.acked:
            yield f"{author} sent {ref} and never got an acknowledgement"


def _wrong_gaps(facts: Facts) -> Iterator[str]:
    for gap in facts.gaps:
        if not facts.keep or gap.first > facts.first_kept:
            yield f"{gap.reader} got a gap from {gap.after} to {gap.first}"
