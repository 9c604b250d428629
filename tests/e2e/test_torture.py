"""A short torture test, and proof that it can fail; `make torture` runs the long one."""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support import processes
from tests.support.processes import wait_until

TIMEOUT = 270.0
"""Seconds (s) on the busiest of machines; it takes 3 to 8."""

pytestmark = pytest.mark.timeout(TIMEOUT + 10)


def torture(*options: str) -> tuple[int, dict[str, Any]]:
    """Run it; return its exit code and its verdict."""
    command = [sys.executable, "-m", "tests.torture", "--json", "--limit", "240s", *options]
    running = processes.start(command)
    try:
        output, _ = running.communicate(timeout=TIMEOUT)
    finally:
        running.terminate()  # its programs end with it
    return running.returncode, json.loads(output)


def test_a_signal_ends_it_and_all_that_it_started(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.torture", "--clients", "2", "--keep", str(tmp_path)]
    running = processes.start(command)
    wait_until(lambda: len([*tmp_path.glob("*/m?.journal")]) == 2)
    running.terminate()
    assert processes.finish(running)[:2] == (130, "")
    (folder,) = tmp_path.iterdir()
    assert programs_with(str(folder)) == []


def programs_with(word: str) -> list[str]:
    """Return the command lines of this machine's programs that have `word` in them."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            lines.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in lines if word in line]


def broken(verdict: dict[str, Any]) -> set[str]:
    return {promise["text"] for promise in verdict["promises"] if promise["broken"]}


@pytest.mark.parametrize("durability", ["power", "process"])
def test_nothing_acknowledged_is_lost_or_seen_twice_whatever_is_killed(durability: str) -> None:
    code, verdict = torture(
        "--durability", durability, "--kills", "4", "--clients", "5", "--seed", "10"
    )

    assert verdict["promises"] == [
        {**promise, "broken": 0, "examples": []} for promise in verdict["promises"]
    ]
    assert all(promise["checked"] for promise in verdict["promises"])
    assert verdict["holds"]
    assert code == 0
    faults = verdict["faults"]
    assert faults["daemon_kills"] == 4
    assert faults["client_kills"]
    assert faults["client_stops"]
    assert faults["cuts"]
    assert verdict["resent"]


def test_an_acknowledgement_before_the_commit_is_caught() -> None:
    code, verdict = torture(
        "--durability", "process", "--kills", "2", "--clients", "4", "--seed", "11",
        "--patience", "2s", "--log-fault", "ack-before-commit",
    )  # fmt: skip

    assert broken(verdict) & {
        "each acknowledged message was seen by all it is for",
        "all saw the same order",
        "what was acknowledged came, under the id in the ack",
    }
    assert code == 1


def test_a_forgotten_ref_is_caught() -> None:
    code, verdict = torture(
        "--durability", "process", "--kills", "1", "--clients", "4", "--seed", "12",
        "--log-fault", "forget-refs",
    )  # fmt: skip

    assert "nobody saw a message twice" in broken(verdict)
    assert "each acknowledged message was seen by all it is for" not in broken(verdict)
    assert code == 1
