"""The plot; how it looks is for people to judge, that it says what it should is not."""

import re
import struct
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from chatctl import plot
from chatctl.errors import PartialError, UsageError
from chatctl.run import Outage
from common.exchange import ExchangeRecord
from tests.chatctl.exchanges import EPOCH, MS, OUTAGE, US, exchange, report

pytest.importorskip("matplotlib")


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
        "offset +1.000, at most 0.101 off",
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


@pytest.mark.parametrize(
    ("name", "problem"),
    [("run.pdf", r"run\.pdf is to end with \.png or \.svg"), ("no/run.png", "no directory .*no")],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_measured(
    tmp_path: Path, name: str, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        plot.check(tmp_path / name)


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plot.check(tmp_path / "run.png")
    for module in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(PathFinder, "find_spec", lambda *_: None)
    with pytest.raises(UsageError, match=r"pip install 'chatd\[plot\]'"):
        plot.check(tmp_path / "run.png")
