"""Timestamp exchanges in which one side is killed, stalls, restarts or closes the connection."""

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.chatctl_process import begin, finish, run
from tests.support.daemon_process import Daemon, RawClient
from tests.support.timestamp_fixtures import (
    LONG,
    SHORT,
    blocks,
    measured,
    numbers,
    rows,
    server_file,
    wait_for_end,
    wait_for_rows,
)


def begin_measuring(daemon: Daemon, out: Path) -> subprocess.Popen[str]:
    """Start a run of 300 stamps; return when it is well under way."""
    client = begin(
        *("timestamp", "--out", str(out), "--json", "--duration", "1500ms", "--interval", "5ms"),
        daemon=daemon,
    )
    wait_for_rows(out, 40)
    return client


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
    start: Callable[..., Daemon], out: Path, reserved_port: int
) -> None:
    daemon = start("--port", str(reserved_port))
    client = begin_measuring(daemon, out)
    daemon.stop()
    start("--port", str(reserved_port))
    code, stdout, stderr = finish(client)
    assert code == 7
    assert "chatctl: reconnected after" in stderr
    assert re.search(
        r"^chatctl: the connection was lost for \S+ \(the server stops", stderr, re.MULTILINE
    )
    report = measured(stdout)
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


def test_a_server_that_stalls_shows_in_its_timer_error_and_skips_nothing(
    start: Callable[..., Daemon], out: Path
) -> None:
    daemon = start()
    client = begin_measuring(daemon, out)
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    daemon.process.send_signal(signal.SIGCONT)
    code, stdout, _ = finish(client)
    assert code == 0
    analysis = measured(stdout)["analysis"]
    assert analysis["peer_timer_error"]["max_ns"] > 250_000_000
    assert (analysis["counts"]["sent"], analysis["counts"]["received"]) == (300, 300)


def test_a_client_that_stalls_catches_up_and_counts_it(daemon: Daemon, out: Path) -> None:
    client = begin_measuring(daemon, out)
    client.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    client.send_signal(signal.SIGCONT)
    code, stdout, _ = finish(client)
    assert code == 0
    analysis = measured(stdout)["analysis"]
    counts = analysis["counts"]
    assert (counts["sent"], counts["received"]) == (300, 300)
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
    assert "exchange rude broke off" in daemon.stderr


def test_a_client_that_closes_without_a_goodbye_ends_its_exchange_at_the_next_stamps(
    start: Callable[..., Daemon],
) -> None:
    daemon = start()
    with RawClient(daemon.address) as gone:
        gone.ask("exchange", id="gone", interval_ms=100, duration_s=600)
    wait_for_end(daemon, 1)
    assert "exchange gone broke off" in daemon.stderr
    assert "disconnected: connection lost" in daemon.stderr
