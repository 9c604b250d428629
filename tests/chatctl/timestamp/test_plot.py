"""The plot says what it should; how it looks is for people to judge."""

import re
import struct
from pathlib import Path

import pytest

from chatctl.errors import PartialError
from chatctl.timestamp import plot
from chatctl.timestamp.run import Outage
from common.timing.record import ExchangeRecord
from tests.support.timestamp_fixtures import EPOCH, MS, OUTAGE, US, exchange, report


def texts(path: Path) -> set[str]:
    """Return every text on an SVG plot."""
    return set(re.findall(r"<text [^>]*>([^<]*)</text>", path.read_text()))


def test_the_plot_shows_round_trip_distribution_wedge_and_allan_deviation(tmp_path: Path) -> None:
    plot_path = tmp_path / "run.svg"
    plot.draw(exchange(), report(outages=(OUTAGE,)), plot_path)
    assert {
        "Exchange 1 with 127.0.0.1:5555  ·  2026-11-21 07:11:00 UTC  ·  "
        "100 stamps sent and 100 received, 10ms apart",
        "Round trip",
        "median 0.500",
        "p99 0.800",
        "no connection",
        "Distribution of the round trip",
        "p99.9  0.800",
        "Clock offset against round trip",
        "offset +1.000 ± 0.101",
        "Allan deviation",
        "offsets as measured",
    } <= texts(plot_path)


def test_a_png_is_large_enough_for_a_report(tmp_path: Path) -> None:
    plot_path = tmp_path / "run.PNG"
    plot.draw(exchange(), report(), plot_path)
    header = plot_path.read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", header[16:])
    assert (width, height) == (1872, 1328)


def test_an_exchange_of_a_single_stamp_or_without_answers_has_a_plot_too(tmp_path: Path) -> None:
    unanswered = ExchangeRecord(10 * MS, 5, [EPOCH], [], [20 * US], [50 * US])
    for record in (exchange(1), exchange(2), unanswered):
        plot.draw(record, report(record, outages=(Outage(EPOCH, None, "x"),)), tmp_path / "x.svg")
        assert "Allan deviation" in texts(tmp_path / "x.svg")


def test_a_plot_that_cannot_be_written_is_a_shortfall(tmp_path: Path) -> None:
    with pytest.raises(PartialError, match="cannot write"):
        plot.draw(exchange(), report(), tmp_path / "gone" / "run.svg")
