"""Timestamp exchanges: the real daemon, the real command, files, signals."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pexpect
import pytest

from common.timefile import Block, parse_blocks
from tests.chatctl.running import PATIENCE, begin, finish, run
from tests.e2e.daemon import Daemon
from tests.e2e.wire import Wire
from tests.tools import require

SHORT: Final = ("--duration", "300ms", "--interval", "5ms")
"""60 stamps each way."""
LONG: Final = ("--duration", "30s", "--interval", "5ms")
"""More than any test waits for."""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "times.txt"


def measured(output: str) -> Any:
    """Return the report, the last line of ``--json``."""
    report = json.loads(output.splitlines()[-1])
    assert report["figures"] == "run"
    return report


def blocks(path: Path) -> list[Block]:
    with path.open() as lines:
        return list(parse_blocks(lines))


def rows(path: Path) -> int:
    return sum(len(block.rows) for block in blocks(path))


def numbers(path: Path) -> list[int]:
    return [row.number for block in blocks(path) for row in block.rows]


def wait_for_rows(path: Path, least: int) -> None:
    """Wait until a file that is being written has so many rows."""
    deadline = time.monotonic() + PATIENCE
    while not (path.exists() and rows(path) >= least):
        assert time.monotonic() < deadline, f"{path} does not grow"
        time.sleep(0.01)


def wait_for_end(daemon: Daemon, count: int) -> None:
    """Wait until the daemon has logged the end of so many exchanges."""
    deadline = time.monotonic() + PATIENCE
    while len(re.findall(r"exchange \S+ (?:is over|broke off)", daemon.stderr)) < count:
        assert time.monotonic() < deadline, daemon.stderr
        time.sleep(0.01)


def server_file(daemon: Daemon) -> Path:
    return daemon.folder / "serverTimeData.txt"


def test_a_run_is_in_both_files_and_its_figures_are_printed(
    start: Callable[..., Daemon], out: Path
) -> None:
    daemon = start()
    code, printed, said = run("timestamp", "--id", "1", "--out", str(out), *SHORT, daemon=daemon)
    assert (code, said) == (0, "")
    assert printed.splitlines()[0] == (
        f"exchange 1 with 127.0.0.1:{daemon.port}: every 5ms for 300ms"
    )
    assert "stamps           60 sent, 60 received of 60 each way" in printed.splitlines()
    assert f"file             {out}: 120 rows" in printed.splitlines()
    daemon.stop()
    for path in (out, server_file(daemon)):
        (block,) = blocks(path)
        assert [row.number for row in block.rows] == list(range(1, 121))
        assert {(row.sender, row.receiver) for row in block.rows} == {("127.0.0.1", "127.0.0.1")}
        assert path.read_text().endswith("\nEnd of Timestamp Data (after 0.3 seconds)\n")


def test_both_files_hold_the_same_stamps(start: Callable[..., Daemon], out: Path) -> None:
    daemon = start()
    run("timestamp", "--out", str(out), *SHORT, daemon=daemon)
    daemon.stop()
    (ours,), (theirs,) = blocks(out), blocks(server_file(daemon))
    assert sorted(row.at_ns for row in ours.rows) == sorted(row.at_ns for row in theirs.rows)


def test_a_later_run_appends_a_block_and_counts_on(daemon: Daemon, out: Path) -> None:
    for _ in range(2):
        assert run("timestamp", "--out", str(out), *SHORT, daemon=daemon).code == 0
    assert len(blocks(out)) == 2
    assert numbers(out) == list(range(1, 241))


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


def test_two_more_clients_run_beside_one_each_with_its_own_file(
    start: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = start()
    wish = ("--out", str(tmp_path), "--json", "--duration", "1500ms", "--interval", "5ms")
    first = begin("timestamp", "--id", "1", *wish, daemon=daemon)
    wait_for_rows(tmp_path / "client_1_TimeData.txt", 20)
    others = [begin("timestamp", "--id", name, *wish, daemon=daemon) for name in ("2", "3")]
    for client in (first, *others):
        code, printed, said = finish(client)
        assert (code, said) == (0, "")
        counts = measured(printed)["analysis"]["counts"]
        assert (counts["sent"], counts["received"]) == (300, 300)
    daemon.stop()
    for name in ("1", "2", "3"):
        assert numbers(tmp_path / f"client_{name}_TimeData.txt") == list(range(1, 601))
    assert numbers(server_file(daemon)) == list(range(1, 1_801))
    assert "3 exchanges" not in daemon.stderr
    assert len(re.findall(r"is over: 300 of 300 sent, 300 received, 0 rows", daemon.stderr)) == 3


def test_a_second_client_with_the_same_file_is_refused_and_the_first_goes_on(
    daemon: Daemon, tmp_path: Path
) -> None:
    wish = ("--id", "twin", "--out", str(tmp_path), "--interval", "5ms")
    first = begin("timestamp", *wish, "--duration", "1s", daemon=daemon)
    path = tmp_path / "client_twin_TimeData.txt"
    wait_for_rows(path, 20)
    code, printed, said = run("timestamp", *wish, daemon=daemon)
    assert (code, printed) == (2, "")
    assert said == (
        f"chatctl: {path} is being written by another client; wait for it, or choose another --id\n"
    )
    assert finish(first).code == 0
    assert rows(path) == 400


def test_after_kill_9_the_file_is_whole_and_the_next_run_closes_the_broken_block(
    start: Callable[..., Daemon], out: Path
) -> None:
    daemon = start()
    victim = begin("timestamp", "--out", str(out), *LONG, daemon=daemon)
    wait_for_rows(out, 100)
    victim.kill()
    finish(victim)
    killed = rows(out)
    assert killed >= 100
    assert run("timestamp", "--out", str(out), *SHORT, daemon=daemon).code == 0
    broken, whole = blocks(out)
    assert broken.end
    assert broken.end.broken_off
    assert len(broken.rows) == killed
    assert len(whole.rows) == 120
    assert numbers(out) == list(range(1, killed + 121))
    wait_for_end(daemon, 2)
    daemon.stop()
    ends = [block.end for block in blocks(server_file(daemon))]
    assert [end.broken_off for end in ends if end] == [True, False]


def test_a_server_that_restarts_costs_time_but_no_stamps(
    start: Callable[..., Daemon], out: Path
) -> None:
    daemon = start()
    client = begin(
        *("timestamp", "--out", str(out), "--json", "--duration", "1500ms", "--interval", "5ms"),
        daemon=daemon,
    )
    wait_for_rows(out, 40)
    daemon.stop()
    start("--port", str(daemon.port))
    code, printed, said = finish(client)
    assert code == 7
    assert "chatctl: connected again after" in said
    assert re.search(
        r"^chatctl: the connection was lost for \S+ \(the server stops", said, re.MULTILINE
    )
    report = measured(printed)
    assert report["analysis"]["counts"]["sent"] == 300
    (outage,) = report["outages"]
    assert outage["away_ns"] > 0
    broken, whole = blocks(out)
    assert broken.end
    assert broken.end.broken_off
    assert whole.end
    assert not whole.end.broken_off
    assert len(broken.rows) + len(whole.rows) == report["rows"]
    assert numbers(out) == list(range(1, report["rows"] + 1))


def test_an_interrupted_run_closes_its_block_and_prints_its_summary(
    start: Callable[..., Daemon], out: Path
) -> None:
    daemon = start()
    client = begin("timestamp", "--out", str(out), *LONG, daemon=daemon)
    wait_for_rows(out, 40)
    client.send_signal(signal.SIGINT)
    code, printed, said = finish(client)
    assert (code, said) == (130, "")
    assert re.search(r"^stamps +\d+ sent, \d+ received of 6000 each way$", printed, re.MULTILINE)
    (block,) = blocks(out)
    assert block.end
    assert block.end.broken_off
    assert block.end.after_ns
    daemon.stop()
    (theirs,) = blocks(server_file(daemon))
    assert len(theirs.rows) == len(block.rows)


def test_a_full_disk_of_the_client_costs_rows_and_not_the_exchange(daemon: Daemon) -> None:
    code, printed, said = run("timestamp", "--json", "--out", "/dev/full", *SHORT, daemon=daemon)
    assert code == 7
    assert said.splitlines() == [
        "chatctl: cannot write /dev/full: no space left on device; the exchange goes on without",
        "chatctl: 120 rows could not be written to /dev/full",
    ]
    report = measured(printed)
    assert (report["rows"], report["rows_lost"]) == (0, 120)
    assert report["analysis"]["counts"]["received"] == 60


def test_a_full_disk_of_the_server_is_told_to_the_client(
    start: Callable[..., Daemon], out: Path
) -> None:
    daemon = start("--time-file", "/dev/full")
    code, _, said = run("timestamp", "--out", str(out), *SHORT, daemon=daemon)
    assert code == 7
    assert re.fullmatch(r"chatctl: the server could not write \d+ rows to its file\n", said)
    assert rows(out) == 120
    assert "cannot write /dev/full: No space left on device; rows are lost" in daemon.stderr


def test_a_server_that_stalls_shows_in_its_timer_error_and_skips_nothing(
    start: Callable[..., Daemon], out: Path
) -> None:
    daemon = start()
    client = begin(
        *("timestamp", "--out", str(out), "--json", "--duration", "1500ms", "--interval", "5ms"),
        daemon=daemon,
    )
    wait_for_rows(out, 40)
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    daemon.process.send_signal(signal.SIGCONT)
    code, printed, _ = finish(client)
    assert code == 0
    analysis = measured(printed)["analysis"]
    assert analysis["peer_timer_error"]["max_ns"] > 250_000_000
    assert (analysis["counts"]["sent"], analysis["counts"]["received"]) == (300, 300)


def test_a_client_that_stalls_catches_up_and_counts_it(daemon: Daemon, out: Path) -> None:
    client = begin(
        *("timestamp", "--out", str(out), "--json", "--duration", "1500ms", "--interval", "5ms"),
        daemon=daemon,
    )
    wait_for_rows(out, 40)
    client.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    client.send_signal(signal.SIGCONT)
    code, printed, _ = finish(client)
    assert code == 0
    analysis = measured(printed)["analysis"]
    counts = analysis["counts"]
    assert (counts["sent"], counts["received"]) == (300, 300)
    assert counts["stalls"] >= 1
    assert counts["missed_deadlines"] >= 50
    assert counts["longest_stall_ns"] > 250_000_000
    assert analysis["receive_delay"]["max_ns"] > 250_000_000


@pytest.mark.parametrize(
    ("wish", "code", "problem"),
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
def test_what_cannot_be_is_refused_with_advice(
    daemon: Daemon, tmp_path: Path, wish: tuple[str, ...], code: int, problem: str
) -> None:
    outcome = run("timestamp", "--out", str(tmp_path), *wish, daemon=daemon)
    assert (outcome.code, outcome.out) == (code, "")
    assert problem in outcome.err


def test_no_place_on_the_server_is_told(start: Callable[..., Daemon], out: Path) -> None:
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
    assert client.wait(PATIENCE) == 0
    assert client.stderr is not None
    client.stderr.close()
    (block,) = blocks(out)
    assert block.end


def test_a_file_can_be_read_back(daemon: Daemon, out: Path) -> None:
    run("timestamp", "--out", str(out), *SHORT, daemon=daemon)
    code, printed, _ = run("timestamp", "--analyze", str(out))
    assert code == 0
    assert re.match(r"block 1: 120 rows in [\d.]+ms from \S+Z, closed after 300ms\n", printed)
    (told,) = map(json.loads, run("timestamp", "--analyze", str(out), "--json").out.splitlines())
    assert (told["rows"], told["misnumbered"], told["torn"]) == (120, 0, False)


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
        timeout=PATIENCE,
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
        timeout=PATIENCE,
        check=True,
    )
    granted, *stamps = map(json.loads, done.stdout.splitlines())
    assert granted == json.loads(asked)
    assert [stamp["n"] for stamp in stamps] == list(range(1, 101))
    assert not any("heard" in stamp for stamp in stamps)


def test_a_client_that_resets_in_the_middle_costs_nobody_else_anything(
    start: Callable[..., Daemon], out: Path
) -> None:
    daemon = start()
    with Wire(daemon.address) as rude:
        rude.ask("exchange", id="rude", interval_ms=1, duration_s=60)
        rude.hear()
        client = begin("timestamp", "--out", str(out), *SHORT, daemon=daemon)
        wait_for_rows(out, 10)
        rude.reset()
    assert finish(client).code == 0
    wait_for_end(daemon, 2)
    assert "exchange rude broke off" in daemon.stderr


def test_a_client_that_closes_without_a_word_ends_its_exchange_at_the_next_stamps(
    start: Callable[..., Daemon],
) -> None:
    daemon = start()
    with Wire(daemon.address) as gone:
        gone.ask("exchange", id="gone", interval_ms=100, duration_s=600)
    wait_for_end(daemon, 1)
    assert "exchange gone broke off" in daemon.stderr
    assert "disconnected: connection lost" in daemon.stderr
