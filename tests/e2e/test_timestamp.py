"""``chatctl timestamp`` and the real daemon: what it prints, and the files of both sides."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.chatctl_process import begin, finish, run
from tests.support.daemon_process import Daemon
from tests.support.processes import TIMEOUT
from tests.support.programs import require
from tests.support.terminal import Terminals
from tests.support.timestamp_fixtures import (
    LONG,
    SHORT,
    blocks,
    measured,
    numbers,
    rows,
    server_file,
    wait_for_more_rows,
    wait_for_rows,
)


def test_figures_of_one_machine_with_itself_make_sense(daemon: Daemon, out: Path) -> None:
    report = measured(run("timestamp", "--json", "--out", str(out), *SHORT, daemon=daemon).out)
    analysis, counts = report["analysis"], report["analysis"]["counts"]
    assert (counts["sent"], counts["received"], counts["expected"]) == (60, 60, 60)
    assert 0 < analysis["round_trip"]["min_ns"] <= analysis["round_trip"]["median_ns"]
    assert 0 <= analysis["timer_error"]["min_ns"] <= analysis["timer_error"]["median_ns"]
    offset = analysis["offset"]
    assert abs(offset["offset_ns"]) <= offset["error_bound_ns"]
    assert offset["error_bound_ns"] >= offset["delay_ns"] // 2
    assert report["server_counts"] == {"sent": 60, "received": 60, "unwritten": 0}
    assert (report["rows"], report["rows_lost"], report["outages"]) == (120, 0, [])


@pytest.mark.parametrize(
    ("options", "code", "problem"),
    [
        (("--interval", "100us", "--duration", "1s"), 4, "interval_ms must be between 1ms"),
        (("--duration", "2h"), 4, "duration_s must be between one interval and 1h"),
        (("--id", "../1"), 2, "--id: an id must not contain /"),
        (("--id", ""), 2, "--id: an id must have 1 to 64 characters"),
        (("--interval", "0"), 2, "--interval must be more than 0"),
        (("--interval", "2s", "--duration", "1s"), 2, "at most --duration"),
        (("--plot", "run.pdf"), 2, "must end in .png or .svg"),
        (("--analyze", "x", "--plot", "x.png"), 2, "--plot does not work with --analyze"),
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
        "chatctl: all 0 exchanges are in use; try again later\n",
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
    sheet = tmp_path / "run.svg"
    outcome = run("timestamp", "--out", str(out), "--plot", str(sheet), *SHORT, daemon=daemon)
    assert (outcome.code, outcome.err) == (0, "")
    assert "Allan deviation" in sheet.read_text()


def test_on_a_terminal_a_bar_shows_the_time_left_and_the_round_trip(
    daemon: Daemon, out: Path, terminals: Terminals
) -> None:
    server = f"{daemon.host}:{daemon.port}"
    terminal = terminals.run(
        *("timestamp", "--id", "1", "--out", str(out), "--duration", "2s"), CHATCTL_SERVER=server
    )
    for shown in ("exchange 1 ", "% ", " left", "round trip ", " ms"):
        terminal.expect(shown)
    terminal.expect("200 sent, 200 received of 200 each way")
    assert terminal.end() == 0


def test_netcat_sees_the_stamps_of_the_server_though_it_sends_none(daemon: Daemon) -> None:
    netcat = require("nc")
    asked = b'{"code":"exchange","id":"nc","interval_ms":10,"duration_s":1}\n'
    done = processes.run([netcat, "-N", daemon.host, str(daemon.port)], stdin=asked)
    assert done.code == 0
    granted, *stamps = map(json.loads, done.out.splitlines())
    assert granted == json.loads(asked)
    assert [stamp["n"] for stamp in stamps] == list(range(1, 101))
    assert not any("heard" in stamp for stamp in stamps)


def test_a_run_is_in_both_files_and_its_figures_are_printed(
    start: Callable[..., Daemon], out: Path
) -> None:
    daemon = start()
    code, printed, stderr = run("timestamp", "--id", "1", "--out", str(out), *SHORT, daemon=daemon)
    assert (code, stderr) == (0, "")
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


def test_two_more_clients_run_beside_one_each_with_its_own_file(
    start: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = start()
    options = ("--out", str(tmp_path), "--json", "--duration", "1500ms", "--interval", "5ms")
    first = begin("timestamp", "--id", "1", *options, daemon=daemon)
    wait_for_rows(tmp_path / "client_1_TimeData.txt", 20)
    others = [begin("timestamp", "--id", name, *options, daemon=daemon) for name in ("2", "3")]
    for client in (first, *others):
        code, printed, stderr = finish(client)
        assert (code, stderr) == (0, "")
        counts = measured(printed)["analysis"]["counts"]
        assert (counts["sent"], counts["received"]) == (300, 300)
    daemon.stop()
    for name in ("1", "2", "3"):
        assert numbers(tmp_path / f"client_{name}_TimeData.txt") == list(range(1, 601))
    assert numbers(server_file(daemon)) == list(range(1, 1_801))
    assert "3 exchanges" not in daemon.stderr
    assert (
        len(re.findall(r"is complete: 300 of 300 sent, 300 received, 0 rows", daemon.stderr)) == 3
    )


def test_a_second_client_with_the_same_file_is_refused_and_the_first_goes_on(
    daemon: Daemon, tmp_path: Path
) -> None:
    options = ("--id", "twin", "--out", str(tmp_path), *LONG)
    first = begin("timestamp", *options, daemon=daemon)
    path = tmp_path / "client_twin_TimeData.txt"
    wait_for_rows(path, 20)
    code, printed, stderr = run("timestamp", *options, daemon=daemon)
    assert (code, printed) == (2, "")
    assert stderr == (
        f"chatctl: {path} is being written by another client; wait for it, or choose another --id\n"
    )
    wait_for_more_rows(path, 20)
    first.send_signal(signal.SIGINT)
    assert finish(first).code == 130


def test_a_full_disk_of_the_client_costs_rows_and_not_the_exchange(daemon: Daemon) -> None:
    code, printed, stderr = run("timestamp", "--json", "--out", "/dev/full", *SHORT, daemon=daemon)
    assert code == 7
    assert stderr.splitlines() == [
        "chatctl: cannot write /dev/full: no space left on device; its rows are lost",
        "chatctl: 120 rows could not be written to /dev/full",
    ]
    report = measured(printed)
    assert (report["rows"], report["rows_lost"]) == (0, 120)
    assert report["analysis"]["counts"]["received"] == 60


def test_a_full_disk_of_the_server_is_reported_to_the_client(
    start: Callable[..., Daemon], out: Path
) -> None:
    daemon = start("--time-file", "/dev/full")
    code, _, stderr = run("timestamp", "--out", str(out), *SHORT, daemon=daemon)
    assert code == 7
    assert re.fullmatch(r"chatctl: the server could not write \d+ rows to its file\n", stderr)
    assert rows(out) == 120
    assert "cannot write /dev/full: no space left on device; its rows are lost" in daemon.stderr


def test_a_file_can_be_read_back(daemon: Daemon, out: Path) -> None:
    run("timestamp", "--out", str(out), *SHORT, daemon=daemon)
    code, printed, _ = run("timestamp", "--analyze", str(out))
    assert code == 0
    assert re.match(r"block 1: 120 rows in [\d.]+ms from \S+Z, closed after 300ms\n", printed)
    (analysis,) = map(
        json.loads, run("timestamp", "--analyze", str(out), "--json").out.splitlines()
    )
    assert (analysis["rows"], analysis["misnumbered"], analysis["torn"]) == (120, 0, False)
