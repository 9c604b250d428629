"""The least time for a swap, against cases that can be worked out by hand."""

from math import inf

import pytest

from chatctl.sharing.bound import Endowment, least_time


@pytest.mark.parametrize(
    ("peers", "seconds"),
    [
        ([Endowment(10, 2.0, inf), Endowment(10, 2.0, inf)], 5.0),
        ([Endowment(30, 3.0, inf), Endowment(0, 1.0, inf)], 10.0),
        ([Endowment(1, 1.0, inf), Endowment(9, 9.0, 0.5)], 2.0),
        ([Endowment(8, 10.0, inf)] * 10, 8.0 * 10 * 9 / 100.0),
        ([Endowment(1, 1.0, inf)] + [Endowment(1, 9.0, inf)] * 9, 9 * 10 / 82),
        ([Endowment(10, 1.0, inf)] + [Endowment(1, 9.0, inf)] * 9, 10.0),
        ([Endowment(0, 0.0, 0.0), Endowment(0, 0.0, 0.0)], 0.0),
    ],
)
def test_it_is_set_by_the_narrowest_of_the_three_ways(
    peers: list[Endowment], seconds: float
) -> None:
    assert least_time(peers) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "peers",
    [
        [],
        [Endowment(5, 1.0, inf)],
        [Endowment(5, 0.0, inf), Endowment(5, 1.0, inf)],
        [Endowment(5, 1.0, 0.0), Endowment(5, 1.0, inf)],
    ],
)
def test_without_two_peers_and_their_rates_there_is_none(peers: list[Endowment]) -> None:
    assert least_time(peers) is None
