"""The least time for a swap, against cases that can be worked out by hand."""

from math import inf

import pytest

from chatctl.sharing.bound import PeerCapacity, lower_bound


@pytest.mark.parametrize(
    ("peers", "seconds"),
    [
        ([PeerCapacity(10, 2.0, inf), PeerCapacity(10, 2.0, inf)], 5.0),
        ([PeerCapacity(30, 3.0, inf), PeerCapacity(0, 1.0, inf)], 10.0),
        ([PeerCapacity(1, 1.0, inf), PeerCapacity(9, 9.0, 0.5)], 2.0),
        ([PeerCapacity(8, 10.0, inf)] * 10, 8.0 * 10 * 9 / 100.0),
        ([PeerCapacity(1, 1.0, inf)] + [PeerCapacity(1, 9.0, inf)] * 9, 9 * 10 / 82),
        ([PeerCapacity(10, 1.0, inf)] + [PeerCapacity(1, 9.0, inf)] * 9, 10.0),
        ([PeerCapacity(0, 0.0, 0.0), PeerCapacity(0, 0.0, 0.0)], 0.0),
    ],
)
def test_it_is_set_by_the_narrowest_of_the_three_ways(
    peers: list[PeerCapacity], seconds: float
) -> None:
    assert lower_bound(peers) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "peers",
    [
        [],
        [PeerCapacity(5, 1.0, inf)],
        [PeerCapacity(5, 0.0, inf), PeerCapacity(5, 1.0, inf)],
        [PeerCapacity(5, 1.0, 0.0), PeerCapacity(5, 1.0, inf)],
    ],
)
def test_without_two_peers_and_their_rates_there_is_none(peers: list[PeerCapacity]) -> None:
    assert lower_bound(peers) is None
