"""The final report as text, and its lower bound against cases worked out by hand."""

from math import inf
from typing import Final

import pytest
from msgspec import structs

from chatctl.share.report import (
    PeerCapacity,
    PeerReport,
    ShareReport,
    lower_bound,
    render,
    swarm_lower_bound,
)

PEER: Final = PeerReport(
    id="2",
    files=1,
    size=8_000_000,
    held=8_000_000,
    sent=4_000_000,
    received=7_000_000,
    upload_rate=2e6,
    download_rate=1.5e6,
    fate="left",
)
REPORT: Final = ShareReport(
    group="run-42",
    id="1",
    directory="received",
    size=4_000_000,
    seconds=4.1,
    all_seconds=4.4,
    least_seconds=4.0,
    ratio=1.1,
    sent=4_000_000,
    received=8_000_000,
    upload_rate=3e6,
    download_rate=2e6,
    peers=[PEER],
    shortfalls=[],
    is_interrupted=False,
)


def test_the_bound_takes_each_uplink_as_fast_as_it_was_and_no_downlink() -> None:
    assert swarm_lower_bound(4_000_000, 3e6, [PEER]) == pytest.approx(4.0)


def test_with_an_unknown_uplink_there_is_no_bound() -> None:
    assert swarm_lower_bound(4_000_000, 3e6, [structs.replace(PEER, upload_rate=None)]) is None


def test_people_get_a_line_for_each_peer_and_the_ratio() -> None:
    assert render(REPORT).splitlines() == [
        "peer  files  MB  here  sent MB  got MB  its up MB/s  its down MB/s",
        "2         1   8  100%        4       7            2            1.5  left",
        "",
        "this peer     1: 4 MB shared; best 3 MB/s up, 2 MB/s down",
        "time          4.1 s from the first connection to the last file",
        "              4.4 s until every peer had everything",
        "lower bound   4 s at the measured uplinks; this took 1.10 times as long",
        "files         in received",
    ]


def test_an_unknown_rate_is_shown_as_unknown() -> None:
    peer = structs.replace(PEER, upload_rate=None, download_rate=None, id="\x1b[2J", fate="")
    shown = render(structs.replace(REPORT, peers=[peer], least_seconds=None, ratio=None))
    assert "\\x1b[2J" in shown
    assert "       ?" in shown
    assert "lower bound   unknown: not every uplink was used" in shown


def test_a_lower_bound_above_the_time_is_not_shown() -> None:
    shown = render(structs.replace(REPORT, all_seconds=0.004, least_seconds=0.008, ratio=0.5))
    assert "lower bound   unknown: the exchange was too short to measure the uplinks" in shown


def test_an_incomplete_share_has_no_time() -> None:
    unfinished = structs.replace(
        REPORT,
        seconds=None,
        least_seconds=None,
        ratio=None,
        peers=[structs.replace(PEER, held=2_000_000)],
    )
    shown = render(unfinished)
    assert "  25%" in shown
    assert "time          incomplete: 8 MB received" in shown
    assert "lower bound" not in shown


def test_without_other_peers_there_is_no_table() -> None:
    nothing = dict.fromkeys(("seconds", "all_seconds", "least_seconds", "ratio"))
    alone = structs.replace(REPORT, peers=[], sent=0, received=0, **nothing)
    assert render(alone).splitlines() == [
        "this peer     1: 4 MB shared",
        "time          no other peer came",
        "files         in received",
    ]


def test_what_an_earlier_run_received_took_no_time() -> None:
    again = structs.replace(REPORT, seconds=0.0, all_seconds=None, least_seconds=None, ratio=None)
    assert render(again).splitlines()[-2:] == [
        "time          none: an earlier run received everything",
        "files         in received",
    ]


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
def test_the_lower_bound_is_set_by_the_narrowest_of_three_limits(
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
def test_without_two_peers_and_rates_there_is_no_lower_bound(
    peers: list[PeerCapacity],
) -> None:
    assert lower_bound(peers) is None
