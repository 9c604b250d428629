"""The views of a share: JSON, sentences, and bars on a terminal."""

import hashlib
import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from chatctl.share import events
from chatctl.share.events import (
    AllPeersConnected,
    DownloadComplete,
    EarlierRunComplete,
    PeerConnected,
    PeerUnreachable,
    ShareEvent,
    WaitingForPeers,
)
from chatctl.share.progress import DownloadProgress
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
    assert shown.err == "chatctl: peer 2\\x1b connected (192.0.2.1:4000)\n"


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
        (WaitingForPeers(None, 10.0), "waiting up to 10s for other peers"),
        (
            EarlierRunComplete(("2", "3\n")),
            "an earlier run received all files of 2, 3\\n, which need not connect again",
        ),
        (
            PeerUnreachable("peer 2", "192.0.2.1:9", "connection refused"),
            "cannot connect to peer 2 at 192.0.2.1:9: connection refused "
            "(files go directly between peers)",
        ),
        (PeerConnected("2\x1b[2J", "192.0.2.1:9"), "peer 2\\x1b[2J connected (192.0.2.1:9)"),
        (AllPeersConnected(2), "both peers are here"),
        (AllPeersConnected(3), "all 3 peers are here"),
        (DownloadComplete(2.017026), "everything received after 2.02 s"),
        (DownloadComplete(90.0), "everything received after 1.5m"),
    ],
)
def test_an_event_is_a_sentence(event: ShareEvent, text: str) -> None:
    assert str(event) == text
