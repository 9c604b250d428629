"""What is seen of an exchange while it runs.

What a person is told while files are shared.
How far each file is, piece by piece.
Rates of a counter, on a clock that stands in the samples.
"""

import hashlib
import io
import json
from pathlib import Path

import pytest
from bitarray import bitarray

from chatctl.share import events
from chatctl.share.events import (
    EarlierRunComplete,
    PeerConnected,
    PeerUnreachable,
    ShareEvent,
    WaitingForPeers,
)
from chatctl.share.progress import DownloadProgress, FileProgress, RateMeter
from chatctl.share.view import MAX_BARS, Bars, open_view
from common.manifest import PIECE_SIZE, FileEntry, Manifest

NOTHING = hashlib.sha256().hexdigest()


def of(owner: str, *names: str) -> DownloadProgress:
    files = DownloadProgress()
    files.add(
        Manifest(owner, tuple(FileEntry(name, 2 * PIECE_SIZE, NOTHING) for name in names), b"")
    )
    return files


def test_off_a_terminal_events_are_sentences_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with open_view(as_json=False) as view:
        view.emit(events.PeerConnected("2\x1b", "192.0.2.1:4000"))
        view.show(of("2", "a"), 1e6, 1e6)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "chatctl: peer 2\\x1b is here (192.0.2.1:4000)\n"


def test_json_has_one_event_a_line_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with open_view(as_json=True) as view:
        view.emit(events.PeerUnreachable("peer 2", "192.0.2.1:4000", "connection refused"))
        view.emit(events.DownloadComplete(1.5))
        view.show(of("2", "a"), 1e6, 1e6)
    shown = capsys.readouterr()
    assert shown.err == ""
    assert [json.loads(line) for line in shown.out.splitlines()] == [
        {
            "code": "out_of_reach",
            "who": "peer 2",
            "address": "192.0.2.1:4000",
            "why": "connection refused",
        },
        {"code": "complete", "seconds": 1.5},
    ]


def test_a_terminal_shows_a_bar_for_each_file_and_events_above_them() -> None:
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    screen = Console(file=io.StringIO(), force_terminal=True, width=100, highlight=False)
    columns = TextColumn("{task.description} {task.percentage:3.0f}% {task.fields[rates]}")
    progress = Progress(columns, console=screen, auto_refresh=False)
    files = of("2", "half", "whole", *map(str, range(MAX_BARS)))
    files.add_piece("2", 0)
    files.finish("2", 1, path=Path("2_whole"))
    bars = Bars(progress)
    with progress:
        bars.show(files, 2e6, 3e6)
        bars.emit(events.PeerDisconnected("3", "left"))
    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    assert "half of 2  50%" in shown
    assert "whole of 2 100%" in shown
    assert "all " in shown
    assert "2 MB/s up, 3 MB/s down" in shown
    assert "chatctl: peer 3 left" in shown
    assert f"{MAX_BARS - 1} of 2" not in shown


@pytest.mark.parametrize(
    "kind",
    [kind for kind in events.ShareEvent.__subclasses__() if kind.template],
    ids=lambda kind: kind.__name__,
)
def test_every_event_is_a_sentence(kind: type[events.ShareEvent]) -> None:
    fields = {name: f"<{name}>" for name in kind.__struct_fields__}
    sentence = str(kind(**fields))
    assert all(value in sentence for name, value in fields.items() if name != "name")


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (WaitingForPeers(1, 60.0), "waiting up to 1m for 1 other peer"),
        (WaitingForPeers(2, 0.5), "waiting up to 500ms for 2 other peers"),
        (WaitingForPeers(None, 10.0), "waiting up to 10s for others"),
        (
            EarlierRunComplete(("2", "3\n")),
            "an earlier run has all files of 2, 3\\n; they count for who does not come again",
        ),
        (
            PeerUnreachable("peer 2", "192.0.2.1:9", "connection refused"),
            "peer 2 cannot be reached from here at 192.0.2.1:9: connection refused; "
            "files only go directly",
        ),
        (PeerConnected("2\x1b[2J", "192.0.2.1:9"), "peer 2\\x1b[2J is here (192.0.2.1:9)"),
    ],
)
def test_an_event_is_a_sentence(event: ShareEvent, text: str) -> None:
    assert str(event) == text


def manifest(owner: str, *sizes: int) -> Manifest:
    files = tuple(FileEntry(f"{number}.bin", size, NOTHING) for number, size in enumerate(sizes))
    return Manifest(owner, files, b"")


def test_pieces_count_for_the_file_they_are_of_and_once_each() -> None:
    files = DownloadProgress()
    files.add(manifest("1", 2 * PIECE_SIZE, 0, PIECE_SIZE + 1))
    for index in (0, 2, 3, 3):
        files.add_piece("1", index)
    files.remove_piece("1", 3)
    assert [(file.name, file.held, file.total) for file in files] == [
        ("0.bin", 1, 2),
        ("1.bin", 0, 0),
        ("2.bin", 1, 2),
    ]
    assert [file.done for file in files] == [PIECE_SIZE, 0, (PIECE_SIZE + 1) // 2]


def test_what_an_earlier_run_left_is_counted() -> None:
    files = DownloadProgress()
    files.add(manifest("1", 3 * PIECE_SIZE))
    files.restore("1", ~bitarray(3))
    assert [file.held for file in files] == [3]


def test_it_is_settled_when_each_was_kept_or_cannot_be() -> None:
    files = DownloadProgress()
    files.add(manifest("1", PIECE_SIZE, PIECE_SIZE))
    files.finish("1", 0, path=Path("1_0.bin"))
    files.finish("1", 0, path=Path("1_0.bin"))
    before = files.is_settled
    files.finish("1", 1, error="no room")
    assert (before, files.is_settled) == (False, True)


def test_files_that_are_not_taken_after_all_are_left_out() -> None:
    files = DownloadProgress()
    files.add(manifest("1", PIECE_SIZE, PIECE_SIZE))
    files.add(manifest("2", PIECE_SIZE))
    files.finish("1", 0, path=Path("1_0.bin"))
    files.remove("1")
    files.finish("2", 0, path=Path("2_0.bin"))
    assert files.is_settled
    assert [file.owner for file in files] == ["2"]
    assert files.of("1") == []
    assert files.of("2") == [FileProgress("2", "0.bin", PIECE_SIZE, 1, 0, Path("2_0.bin"))]


def fed(*samples: tuple[float, int]) -> RateMeter:
    meter = RateMeter(0.0)
    for now, count in samples:
        meter.sample(now, count)
    return meter


def test_the_rate_is_that_of_the_last_second() -> None:
    meter = fed((0.5, 100), (1.0, 200), (1.5, 400), (2.0, 800))
    assert meter.rate == pytest.approx(600)


def test_the_best_second_is_kept() -> None:
    meter = fed((1.0, 100), (2.0, 900), (3.0, 1000), (4.0, 1000))
    assert meter.best == pytest.approx(800)


def test_idle_time_before_the_first_byte_does_not_count() -> None:
    meter = fed((10.0, 0), (10.1, 50), (10.2, 100))
    assert meter.best == meter.rate == pytest.approx(500)


def test_what_took_less_than_a_second_has_the_rate_of_its_time() -> None:
    meter = fed((0.1, 0), (0.2, 30), (0.3, 60), (0.4, 60), (5.0, 60))
    assert meter.best == pytest.approx(300)
    assert meter.rate == 0


def test_the_rate_of_a_short_beginning_gives_way_to_that_of_a_whole_second() -> None:
    meter = fed((0.1, 1000), (0.5, 1100))
    assert meter.best == pytest.approx(2200)
    meter = fed((0.1, 1000), (0.5, 1100), (1.0, 1200), (1.6, 1300))
    assert meter.best == pytest.approx(1200)


def test_nothing_at_all_has_no_rate() -> None:
    meter = fed((1.0, 0), (2.0, 0))
    assert meter.best == meter.rate == RateMeter(0.0).rate == 0
