"""Timestamp exchanges in which one side is killed, stalls, restarts or closes the connection."""

import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.support.chatctl_process import begin, finish, run
from tests.support.daemon_process import Daemon, RawClient
from tests.support.processes import is_stopped, wait_until
from tests.support.timestamp_fixtures import (
    LONG,
    SHORT,
    blocks,
    measured,
    numbers,
    rows,
    server_file,
    wait_for_end,
    wait_for_more_rows,
    wait_for_rows,
)

STALL: Final = 60
"""Stamps, 300 ms, for which one side stands still while the other one goes on."""


def begin_measuring(daemon: Daemon, out: Path) -> subprocess.Popen[str]:
    """Start a run that nobody waits for to end; return when it is well under way."""
    client = begin("timestamp", "--out", str(out), "--json", *LONG, daemon=daemon)
    wait_for_rows(out, 40)
    return client


def interrupt(client: subprocess.Popen[str]) -> tuple[Any, str]:
    """Press Ctrl-C; return the report of the run and what it said on stderr."""
    client.send_signal(signal.SIGINT)
    code, stdout, stderr = finish(client)
    assert code == 130
    return measured(stdout), stderr


def stall(process: subprocess.Popen[str], other_file: Path) -> None:
    """Stop a side for as long as the other side takes to write `STALL` stamps to its file."""
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: is_stopped(process.pid))
    wait_for_more_rows(other_file, STALL)
    process.send_signal(signal.SIGCONT)


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


def test_after_a_restart_of_the_server_the_run_goes_on_in_a_block_of_its_own(
    start: Callable[..., Daemon], out: Path, reserved_port: int
) -> None:
    daemon = start("--port", str(reserved_port))
    client = begin_measuring(daemon, out)
    daemon.stop()
    start("--port", str(reserved_port))
    wait_until(lambda: len(blocks(out)) == 2)
    wait_for_more_rows(out, 40)
    report, stderr = interrupt(client)
    assert "chatctl: reconnected after" in stderr
    (outage,) = report["outages"]
    assert outage["reason"].startswith("the server is shutting down")
    assert outage["away_ns"] > 0
    before, after = blocks(out)
    assert before.end
    assert before.end.broken_off
    assert after.end
    assert after.rows
    assert len(before.rows) + len(after.rows) == report["rows"]
    assert numbers(out) == list(range(1, report["rows"] + 1))


def test_an_interrupted_run_closes_its_block_and_prints_its_summary(
    start: Callable[..., Daemon], out: Path
) -> None:
    daemon = start()
    client = begin("timestamp", "--out", str(out), *LONG, daemon=daemon)
    wait_for_rows(out, 40)
    client.send_signal(signal.SIGINT)
    code, stdout, stderr = finish(client)
    assert (code, stderr) == (130, "")
    assert re.search(r"^stamps +\d+ sent, \d+ received of 6000 each way$", stdout, re.MULTILINE)
    (block,) = blocks(out)
    assert block.end
    assert block.end.broken_off
    assert block.end.after_ns
    daemon.stop()
    (theirs,) = blocks(server_file(daemon))
    assert len(theirs.rows) == len(block.rows)


def test_a_server_that_stalls_shows_in_its_timer_error_and_loses_nothing(
    start: Callable[..., Daemon], out: Path
) -> None:
    daemon = start()
    client = begin_measuring(daemon, out)
    stall(daemon.process, out)
    wait_for_more_rows(out, 2 * STALL)  # its late stamps have come
    report, _ = interrupt(client)
    analysis, server_counts = report["analysis"], report["server_counts"]
    assert analysis["peer_timer_error"]["max_ns"] > 250_000_000
    assert analysis["counts"]["sent"] == server_counts["received"]
    assert analysis["counts"]["received"] == server_counts["sent"]


def test_a_client_that_stalls_catches_up_and_counts_it(
    start: Callable[..., Daemon], out: Path
) -> None:
    daemon = start()
    client = begin_measuring(daemon, out)
    stall(client, server_file(daemon))
    wait_for_more_rows(out, 2 * STALL)
    report, _ = interrupt(client)
    analysis, server_counts = report["analysis"], report["server_counts"]
    counts = analysis["counts"]
    assert counts["sent"] == server_counts["received"]
    assert counts["received"] == server_counts["sent"]
    assert counts["stalls"] >= 1
    assert counts["missed_deadlines"] >= 50
    assert counts["longest_stall_ns"] > 250_000_000
    assert analysis["receive_delay"]["max_ns"] > 250_000_000


def test_a_client_that_resets_in_the_middle_costs_nobody_else_anything(
    start: Callable[..., Daemon], out: Path
) -> None:
    daemon = start()
    with RawClient(daemon.address) as rude:
        rude.ask("exchange", id="rude", interval_ms=1, duration_s=60)
        rude.receive()
        client = begin("timestamp", "--out", str(out), *SHORT, daemon=daemon)
        wait_for_rows(out, 10)
        rude.reset()
    assert finish(client).code == 0
    wait_for_end(daemon, 2)
    assert "exchange rude was interrupted" in daemon.stderr


def test_a_client_that_closes_without_a_goodbye_ends_its_exchange_at_the_next_stamps(
    start: Callable[..., Daemon],
) -> None:
    daemon = start()
    with RawClient(daemon.address) as gone:
        gone.ask("exchange", id="gone", interval_ms=100, duration_s=600)
    wait_for_end(daemon, 1)
    assert "exchange gone was interrupted" in daemon.stderr
    assert "disconnected: connection lost" in daemon.stderr
