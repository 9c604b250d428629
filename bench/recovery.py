"""`python -m bench.recovery`: how long chatd takes from its start on a large log to the first ack.

The log is made by SQL and not by chatd, which would take minutes; then chatd is started on it as it
is by anyone, and a client sends hello and sends one message. The clock runs from before the process
exists to the ack, Python's own start included. `cold` means that the kernel was asked to forget the
file first, `killed` that chatd was killed when its write-ahead log was as long as it ever gets.
"""

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from msgspec import structs

from bench.report import Recovery, read, write
from chatd.messagelog.base import Identity, NewMessage
from chatd.messagelog.sqlite.checkpoint import MAX_PAGES
from chatd.messagelog.sqlite.open import FILE, open_database
from chatd.messagelog.sqlite.schema import INDEX_ALL
from chatd.messagelog.sqlite.statements import CommitBatch, Database

GOAL_S: Final = 1.0
"""Seconds (s) that may go by until the first message is acknowledged."""

_TIMEOUT: Final = 60.0
_PEOPLE: Final = 1_000
# Half of the messages are direct; all have 100 characters and a ref.
_FILL: Final = """
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :messages)
INSERT INTO entry
SELECT n, 1 + n * 7919 % :people * 4611686018427387, 'user ' || n * 7919 % :people,
    printf('%.100c', 'x'), 1795245060000000000 + n * 1000000, 60,
    iif(n % 2, 1 + n * 104729 % :people * 4611686018427387, NULL), iif(n % 2, 'somebody', NULL),
    printf('%08d', n), 0
FROM number
"""


def main() -> int:
    """Make the log, start chatd on it a few times, and print what that took; the exit code."""
    options = _parser().parse_args()
    if options.json and not options.json.exists():
        print(
            f"bench: {options.json} is not there to add to; run python -m bench first",
            file=sys.stderr,
        )
        return 2
    with tempfile.TemporaryDirectory(prefix="bench-recovery-", dir=options.directory) as name:
        measured = _measure(Path(name), options.messages, options.runs)
    worst = max(map(statistics.median, (measured.warm, measured.cold, measured.killed)))
    print(f"goal: the median within {GOAL_S:g} s: {'met' if worst <= GOAL_S else 'missed'}")
    if options.json:
        write(structs.replace(read(options.json), recovery=measured), options.json)
    return 0


def _measure(directory: Path, messages: int, runs: int) -> Recovery:
    log = directory / FILE
    began = time.monotonic()
    size = _make_log(log, messages)
    print(
        f"{messages:,} messages, {size / 1e6:,.0f} MB, {size / messages:.0f} bytes each, "
        f"made in {time.monotonic() - began:.0f} s",
        flush=True,
    )
    took: dict[str, list[float]] = {"warm": [], "cold": [], "killed": []}
    for state, seconds in took.items():
        for _ in range(runs):
            if state == "cold":
                _drop_page_cache(log)
            elif state == "killed":
                _crash(log)
            seconds.append(_recover(directory))
        each = ", ".join(f"{one:.3f}" for one in seconds)
        print(f"{state}: first ack after {each} s", flush=True)
    return Recovery(messages, size, **took)


def _make_log(path: Path, messages: int) -> int:
    """Return the size of the file in bytes."""
    database = open_database(path, "process")
    database.execute("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000")
    database.execute(_FILL, {"messages": messages, "people": _PEOPLE})
    database.execute(INDEX_ALL)
    database.close()
    return path.stat().st_size


def _recover(directory: Path) -> float:
    """Return the seconds from the start of the process to the first ack."""
    command = (sys.executable, "-m", "chatd", "--port", "0", "--log-level", "warning")
    began = time.perf_counter()
    process = subprocess.Popen((*command, "--data", directory), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        host, _, port = process.stdout.readline().split()[-1].rpartition(":")
        with socket.create_connection((host, int(port)), _TIMEOUT) as client:
            lines = client.makefile("rb")
            hello = {"code": "hello", "name": f"bench-{time.time_ns()}", "version": 1}
            message = {"code": "outgoing_broadcast", "content": "first", "ref": "1"}
            for request, answer in ((hello, "welcome"), (message, "ack")):
                client.sendall(json.dumps(request).encode() + b"\n")
                received = json.loads(lines.readline())
                assert received["code"] == answer, received
            took = time.perf_counter() - began
            lines.close()
    finally:
        process.terminate()
        process.wait(_TIMEOUT)
    return took


def _drop_page_cache(path: Path) -> None:
    """Ask the kernel to drop what it has of the file in memory."""
    os.sync()
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def _crash(path: Path) -> None:
    """Have another process write until the write-ahead log is long, and end without a word."""
    child = os.fork()
    if child == 0:
        database = Database(open_database(path, "process"))
        anyone = random.Random(database.last)
        while database.wal_pages < MAX_PAGES:
            identities = (anyone.randrange(1, _PEOPLE) * 4611686018427387 for _ in range(20))
            to = map(Identity, identities)
            messages = [NewMessage(1, "user", "x" * 100, 0, 0, one, "somebody") for one in to]
            database.store(CommitBatch([(messages, None)], (), {}))
            database.index()
        os._exit(0)
    os.waitpid(child, 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.recovery",
        description="Measure how long chatd takes to open a large log and acknowledge a message.",
    )
    parser.add_argument(
        "--messages", type=int, default=10_000_000, metavar="N", help="in the log (10000000)"
    )
    parser.add_argument(
        "--runs", type=int, default=3, metavar="N", help="from each state of the log (3)"
    )
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="where the log is made: 0.2 GB a million"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="keep it in this file of `python -m bench`"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
