"""Timestamp exchanges: the real command with the real daemon, and its output."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from tests.chatctl.running import TIMEOUT, begin, run
from tests.e2e.daemon import Daemon
from tests.e2e.exchanges import LONG, SHORT, blocks, measured
from tests.tools import require


def test_figures_of_one_machine_with_itself_make_sense(daemon: Daemon, out: Path) -> None:
    report = measured(run("timestamp", "--json", "--out", str(out), *SHORT, daemon=daemon).out)
    analysis, counts = report["analysis"], report["analysis"]["counts"]
    assert (counts["sent"], counts["received"], counts["expected"]) == (60, 60, 60)
    assert 0 < analysis["round_trip"]["min_ns"] <= analysis["round_trip"]["median_ns"]
    assert 0 <= analysis["timer_error"]["min_ns"] < 5_000_000
    offset = analysis["offset"]
    assert abs(offset["offset_ns"]) <= offset["error_bound_ns"]
    assert offset["error_bound_ns"] >= offset["delay_ns"] // 2
    assert report["server_counts"] == {"sent": 60, "received": 60, "unwritten": 0}
    assert (report["rows"], report["rows_lost"], report["outages"]) == (120, 0, [])


@pytest.mark.parametrize(
    ("options", "code", "problem"),
    [
        (("--interval", "100us", "--duration", "1s"), 4, "interval_ms is out of range: from 1ms"),
        (("--duration", "2h"), 4, "duration_s is out of range: from one interval to 1h"),
        (("--id", "../1"), 2, "--id: the id '../1' has a separator"),
        (("--id", ""), 2, "--id: an id has 1 to 64 characters"),
        (("--interval", "0"), 2, "--interval is to be more than 0"),
        (("--interval", "2s", "--duration", "1s"), 2, "no longer than --duration"),
        (("--plot", "run.pdf"), 2, "is to end with .png or .svg"),
        (("--analyze", "x", "--plot", "x.png"), 2, "--analyze has nothing for --plot"),
    ],
)
def test_invalid_options_are_refused_with_advice(
    daemon: Daemon, tmp_path: Path, options: tuple[str, ...], code: int, problem: str
) -> None:
    outcome = run("timestamp", "--out", str(tmp_path), *options, daemon=daemon)
    assert (outcome.code, outcome.out) == (code, "")
    assert problem in outcome.err


def test_a_full_server_is_reported(start: Callable[..., Daemon], out: Path) -> None:
    outcome = run("timestamp", "--out", str(out), daemon=start("--max-exchanges", "0"))
    assert (outcome.code, outcome.err) == (
        4,
        "chatctl: all 0 exchanges are taken; try again later\n",
    )


def test_live_lines_come_each_second_and_end_with_the_reader(daemon: Daemon, out: Path) -> None:
    client = begin("timestamp", "--live", "--json", "--out", str(out), *LONG, daemon=daemon)
    assert client.stdout is not None
    moments = [json.loads(client.stdout.readline()) for _ in range(2)]
    assert [moment["figures"] for moment in moments] == ["moment", "moment"]
    assert 0 < moments[0]["sent"] < moments[1]["sent"] < 6_000
    client.stdout.close()
    assert client.wait(TIMEOUT) == 141
    assert client.stderr is not None
    client.stderr.close()
    (block,) = blocks(out)
    assert block.end


def test_a_plot_is_drawn(daemon: Daemon, out: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    sheet = tmp_path / "run.svg"
    outcome = run("timestamp", "--out", str(out), "--plot", str(sheet), *SHORT, daemon=daemon)
    assert (outcome.code, outcome.err) == (0, "")
    assert "Allan deviation" in sheet.read_text()


@pytest.fixture
def terminal(daemon: Daemon, out: Path) -> Iterator["pexpect.spawn[str]"]:
    """A run of a second on a terminal."""
    command = ["-m", "chatctl", "timestamp", "--id", "1", "--out", str(out), "--duration", "2s"]
    environment = {
        **os.environ,
        "CHATCTL_SERVER": f"{daemon.host}:{daemon.port}",
        "TERM": "xterm-256color",
    }
    spawned = pexpect.spawn(
        sys.executable,
        command,
        encoding="utf-8",
        timeout=TIMEOUT,
        dimensions=(24, 100),
        env=environment,
    )
    yield spawned
    spawned.close(force=True)


def test_on_a_terminal_a_bar_shows_the_time_left_and_the_round_trip(
    terminal: "pexpect.spawn[str]",
) -> None:
    terminal.expect(r"exchange 1 .*\d+% .*0:0[12] left.*round trip \d+\.\d{3} ms")
    terminal.expect("200 sent, 200 received of 200 each way")
    terminal.expect(pexpect.EOF)
    terminal.wait()
    assert terminal.exitstatus == 0


def test_netcat_sees_the_stamps_of_the_server_though_it_sends_none(daemon: Daemon) -> None:
    netcat = require("nc")
    asked = b'{"code":"exchange","id":"nc","interval_ms":10,"duration_s":1}\n'
    done = subprocess.run(
        [netcat, "-N", daemon.host, str(daemon.port)],
        input=asked,
        capture_output=True,
        timeout=TIMEOUT,
        check=True,
    )
    granted, *stamps = map(json.loads, done.stdout.splitlines())
    assert granted == json.loads(asked)
    assert [stamp["n"] for stamp in stamps] == list(range(1, 101))
    assert not any("heard" in stamp for stamp in stamps)
