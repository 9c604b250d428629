"""What the tests of timestamp exchanges ask for, and what they look for in the files."""

import json
import re
import time
from pathlib import Path
from typing import Any, Final

from common.timefile import FileBlock, parse_blocks
from tests.chatctl.running import TIMEOUT
from tests.e2e.daemon import Daemon

SHORT: Final = ("--duration", "300ms", "--interval", "5ms")
"""60 stamps each way."""

LONG: Final = ("--duration", "30s", "--interval", "5ms")
"""More than any test waits for."""


def measured(output: str) -> Any:
    """Return the report, the last line of ``--json``."""
    report = json.loads(output.splitlines()[-1])
    assert report["figures"] == "run"
    return report


def blocks(path: Path) -> list[FileBlock]:
    with path.open() as lines:
        return list(parse_blocks(lines))


def rows(path: Path) -> int:
    return sum(len(block.rows) for block in blocks(path))


def numbers(path: Path) -> list[int]:
    return [row.number for block in blocks(path) for row in block.rows]


def wait_for_rows(path: Path, least: int) -> None:
    """Wait until a file that is being written has so many rows."""
    deadline = time.monotonic() + TIMEOUT
    while not (path.exists() and rows(path) >= least):
        assert time.monotonic() < deadline, f"{path} does not grow"
        time.sleep(0.01)


def wait_for_end(daemon: Daemon, count: int) -> None:
    """Wait until the daemon has logged the end of so many exchanges."""
    deadline = time.monotonic() + TIMEOUT
    while len(re.findall(r"exchange \S+ (?:is over|broke off)", daemon.stderr)) < count:
        assert time.monotonic() < deadline, daemon.stderr
        time.sleep(0.01)


def server_file(daemon: Daemon) -> Path:
    return daemon.folder / "serverTimeData.txt"
