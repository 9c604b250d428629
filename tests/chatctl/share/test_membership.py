"""Membership: accepting peers, one connection for each, keepalives, and goodbyes."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest

from chatctl.share import events
from chatctl.share.handshake import PeerInfo
from chatctl.share.membership import MIN_SILENCE_TIMEOUT, Membership
from chatctl.share.storage.source_file import hash_files
from chatctl.share.storage.store import Store
from chatctl.share.swarm import Swarm
from common.messages.base import Error, Message
from common.messages.peer_wire import Goodbye, KeepAlive, PeerAddress, PeerExchange
from common.values import Address
from tests.support.share_storage import RecordingConnection, socket_pair

OWN: Final = "5"


class MembershipHarness:
    """A membership, and the far ends of the connections that it accepted."""

    def __init__(self, swarm: Swarm, store: Store) -> None:
        self.swarm = swarm
        self.emitted: list[events.ShareEvent] = []
        self.membership = Membership(
            PeerInfo(OWN, OWN * 32, 4000, swarm.catalog.digest),
            swarm,
            store,
            10.0,
            self.emitted.append,
        )
        self.ends: list[RecordingConnection] = []

    def accept(self, identity: str, *, run: str = "", dialled: bool = False) -> RecordingConnection:
        """Have a peer accepted, and return the far end of the connection to it."""
        near, far = socket_pair()
        info = PeerInfo(identity, run or identity * 32, 4000 + int(identity), "digest")
        self.ends.append(RecordingConnection(far))
        self.membership.accept(RecordingConnection(near).connection, info, dialled)
        return self.ends[-1]

    def is_connected(self, end: RecordingConnection) -> bool:
        """Tell whether the connection to `end` is the one that counts."""
        port = end.connection._socket.getsockname()[1]
        return any(peer.connection.address.port == port for peer in self.swarm.peers.values())


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[MembershipHarness]:
    async with Store(tmp_path, max_size=1, emit=lambda _event: None) as store:
        swarm = Swarm(await hash_files(OWN, []), store, 1, lambda _event: None)
        harness = MembershipHarness(swarm, store)
        yield harness
        await harness.membership.leave()
        swarm.close()
        for end in harness.ends:
            end.connection.close()


def messages_of(end: RecordingConnection) -> list[Message]:
    return [frame.message for frame in end.frames]


def has_received(kind: type[Message]) -> Callable[[RecordingConnection], bool]:
    return lambda end: any(isinstance(message, kind) for message in messages_of(end))


async def test_a_new_peer_gets_the_addresses_of_the_connected_ones(
    group: MembershipHarness,
) -> None:
    group.accept("1")
    two = group.accept("2")
    await two.until(has_received(PeerExchange))
    told = next(message for message in messages_of(two) if isinstance(message, PeerExchange))
    assert told.peers == [PeerAddress("1", "127.0.0.1", 4001)]
    assert group.membership.seen == {"1", "2"}


@pytest.mark.parametrize("identity", ["1", "9"])
@pytest.mark.parametrize("first", [False, True])
async def test_of_two_connections_the_one_dialled_by_the_lesser_id_stays(
    group: MembershipHarness, identity: str, first: bool
) -> None:
    connections = {
        dialled: group.accept(identity, dialled=dialled) for dialled in (first, not first)
    }
    stays = identity > OWN
    assert group.is_connected(connections[stays])
    assert not group.is_connected(connections[not stays])
    assert list(group.swarm.peers) == [identity]


async def test_of_two_connections_dialled_by_one_side_the_newer_stays(
    group: MembershipHarness,
) -> None:
    old, new = group.accept("1"), group.accept("1")
    assert (group.is_connected(old), group.is_connected(new)) == (False, True)


async def test_another_run_with_the_id_of_a_connected_peer_is_rejected(
    group: MembershipHarness,
) -> None:
    first, other = group.accept("1"), group.accept("1", run="x" * 32)
    await other.until(has_received(Error))
    (error,) = (message for message in messages_of(other) if isinstance(message, Error))
    assert (error.reason, error.name) == ("name_taken", "1")
    assert group.is_connected(first)


async def test_a_dropped_run_is_banned_but_a_new_run_is_accepted(
    group: MembershipHarness,
) -> None:
    group.accept("1")
    group.swarm.drop(group.swarm.peers["1"], "lies")
    again = group.accept("1")
    await again.until(has_received(Error))
    assert group.swarm.peers == {}
    group.accept("1", run="x" * 32)
    assert list(group.swarm.peers) == ["1"]


@pytest.mark.parametrize(
    ("told", "reporter", "dialled"),
    [
        ("192.0.2.7", "192.0.2.1", "192.0.2.7"),
        ("127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("::1", "chat.example.org", "chat.example.org"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("peer.example.org", "192.0.2.1", "peer.example.org"),
    ],
)
async def test_the_loopback_address_of_a_reporter_is_the_reporter_to_others(
    group: MembershipHarness, told: str, reporter: str, dialled: str
) -> None:
    group.membership.add_peers(reporter, [PeerAddress("9", told, 4000)])
    (target,) = group.membership.dial_queue.take_due(time.monotonic(), ())
    assert target.address == Address(dialled, 4000)


async def test_an_invalid_id_is_not_dialled(group: MembershipHarness) -> None:
    group.membership.add_peers("192.0.2.1", [PeerAddress("../9", "192.0.2.1", 4000)])
    assert group.membership.dial_queue.take_due(time.monotonic() + 9, ()) == []


async def test_a_goodbye_is_answered_with_our_rates_and_the_peer_not_dialled_again(
    group: MembershipHarness,
) -> None:
    group.membership.add_peers("127.0.0.1", [PeerAddress("9", "127.0.0.1", 1)])
    nine = group.accept("9")
    nine.connection.send(Goodbye(3.0, 4.0))
    await nine.until(has_received(Goodbye))
    assert group.membership.goodbyes["9"] == Goodbye(3.0, 4.0)
    assert group.membership.dial_queue.take_due(time.monotonic() + 9, ()) == []


async def test_an_idle_connection_gets_keepalives(group: MembershipHarness) -> None:
    one = group.accept("1")
    await one.until(lambda end: bool(end.frames))
    group.membership.check_peers(time.monotonic() + MIN_SILENCE_TIMEOUT / 2)
    await one.until(has_received(KeepAlive))


async def test_a_silent_peer_is_disconnected(group: MembershipHarness) -> None:
    group.accept("1")
    last_received_at = group.swarm.peers["1"].connection.last_received_at
    group.membership.check_peers(last_received_at + 9.9)
    assert list(group.swarm.peers) == ["1"]
    group.membership.check_peers(last_received_at + 10.1)
    assert group.swarm.peers == {}
    assert group.swarm.exit_reasons["1"] == "was silent for 10 s"


async def test_a_peer_that_reads_nothing_is_disconnected(group: MembershipHarness) -> None:
    one = group.accept("1")
    one.connection.pause()
    peer = group.swarm.peers["1"]
    peer.connection.send(KeepAlive(), bytes(20 * 2**20))
    await one.until(lambda _end: bool(peer.connection.blocked_for(time.monotonic() + 9)))
    peer.connection.last_received_at = time.monotonic() + 20
    group.membership.check_peers(time.monotonic() + 11)
    assert group.swarm.exit_reasons["1"] == "read nothing for 10 s"


async def test_each_failure_is_reported_once_and_their_number_is_limited(
    group: MembershipHarness,
) -> None:
    for _ in range(2):
        group.membership.on_rejected(Address("192.0.2.1", 1), "its key differs")
    assert len(group.emitted) == 1
    for number in range(1_000):
        group.membership.on_rejected(Address("192.0.2.1", 1), f"reason {number}")
    assert len(group.emitted) == 100
