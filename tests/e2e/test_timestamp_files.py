"""The files of timestamp exchanges, on both sides."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.chatctl.running import begin, finish, run
from tests.e2e.daemon import Daemon
from tests.e2e.exchanges import SHORT, blocks, measured, numbers, rows, server_file, wait_for_rows


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
    assert len(re.findall(r"is over: 300 of 300 sent, 300 received, 0 rows", daemon.stderr)) == 3


def test_a_second_client_with_the_same_file_is_refused_and_the_first_goes_on(
    daemon: Daemon, tmp_path: Path
) -> None:
    options = ("--id", "twin", "--out", str(tmp_path), "--interval", "5ms")
    first = begin("timestamp", *options, "--duration", "1s", daemon=daemon)
    path = tmp_path / "client_twin_TimeData.txt"
    wait_for_rows(path, 20)
    code, printed, stderr = run("timestamp", *options, daemon=daemon)
    assert (code, printed) == (2, "")
    assert stderr == (
        f"chatctl: {path} is being written by another client; wait for it, or choose another --id\n"
    )
    assert finish(first).code == 0
    assert rows(path) == 400


def test_a_full_disk_of_the_client_costs_rows_and_not_the_exchange(daemon: Daemon) -> None:
    code, printed, stderr = run("timestamp", "--json", "--out", "/dev/full", *SHORT, daemon=daemon)
    assert code == 7
    assert stderr.splitlines() == [
        "chatctl: cannot write /dev/full: no space left on device; the exchange goes on without",
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
    assert "cannot write /dev/full: No space left on device; rows are lost" in daemon.stderr


def test_a_file_can_be_read_back(daemon: Daemon, out: Path) -> None:
    run("timestamp", "--out", str(out), *SHORT, daemon=daemon)
    code, printed, _ = run("timestamp", "--analyze", str(out))
    assert code == 0
    assert re.match(r"block 1: 120 rows in [\d.]+ms from \S+Z, closed after 300ms\n", printed)
    (analysis,) = map(
        json.loads, run("timestamp", "--analyze", str(out), "--json").out.splitlines()
    )
    assert (analysis["rows"], analysis["misnumbered"], analysis["torn"]) == (120, 0, False)
