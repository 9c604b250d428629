"""Whole swarms in virtual time: they finish, and come close to the lower bound."""

from collections.abc import Sequence

import pytest

from chatctl.share.report import PeerCapacity, lower_bound
from common.manifest import PIECE_SIZE
from tests.support.swarm_simulation import MemberSpec, Simulation, equal

MBIT = 1e6 / 8


def ratio(members: list[MemberSpec]) -> float:
    """Return the time that a swarm takes, as a multiple of its lower bound."""
    least = lower_bound([PeerCapacity(each.size, each.uplink, float("inf")) for each in members])
    assert least
    return Simulation(members).run() / least


def members(uplinks: Sequence[float], pieces: int = 31) -> list[MemberSpec]:
    return [MemberSpec(uplink * MBIT, pieces * PIECE_SIZE) for uplink in uplinks]


@pytest.mark.parametrize(
    ("uplinks", "goal"),
    [
        ([10, 10], 1.05),
        ([10] * 3, 1.1),
        ([4, 20, 20], 1.1),
        ([10] * 5, 1.1),
        ([3, 3, 30, 30, 30], 1.15),
        ([8] * 10, 1.1),
        ([3] * 5 + [30] * 5, 1.1),
        ([3] + [30] * 9, 1.1),
    ],
    ids=lambda value: f"{len(value)} from {min(value)}" if isinstance(value, list) else str(value),
)
def test_a_swarm_comes_near_to_the_bound(uplinks: list[float], goal: float) -> None:
    assert ratio(members(uplinks)) <= goal


def test_many_peers_with_unequal_files_and_uplinks_come_near_to_the_bound() -> None:
    mixed = [
        MemberSpec((5 + number % 6) * MBIT, (2 + number % 5) * PIECE_SIZE) for number in range(30)
    ]
    assert ratio(mixed) <= 1.15


def test_owners_send_their_own_pieces_once_and_others_do_the_rest() -> None:
    swarm = Simulation(members([3] + [30] * 4))
    swarm.run()
    slow, *fast = (peer.sent for peer in swarm.peers.values())
    assert slow <= 31 + 2
    assert sum(fast) <= 1.1 * (4 * 5 - 1) * 31


def test_what_a_peer_gave_before_it_left_reaches_everyone() -> None:
    swarm = Simulation(equal(4, 20))
    leaves = 15 * PIECE_SIZE / 1e6
    swarm.at(leaves, lambda: swarm.leave("0"))
    with pytest.raises(AssertionError, match="no events are left"):
        swarm.run()
    missing = set(swarm.missing().values())
    assert len(missing) == 1  # all have the same
    assert 0 < missing.pop() < 20


def test_a_late_peer_gets_and_gives_everything() -> None:
    swarm = Simulation([*equal(3, 20), MemberSpec(1e6, 20 * PIECE_SIZE, joins_at=2.0)])
    swarm.run()
    assert swarm.missing() == {}
    assert len(swarm.peers) == 4


def test_a_peer_with_nothing_of_its_own_takes_part() -> None:
    swarm = Simulation([*equal(3, 20), MemberSpec(1e6, 0)])
    swarm.run()
    assert swarm.peers["3"].sent > 0


def test_without_any_files_everyone_is_complete_at_once() -> None:
    assert Simulation(equal(3, 0)).run() < 0.1
