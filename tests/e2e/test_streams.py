"""A daemon whose standard streams are closed, full, or read by nobody."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.daemon import START_TIMEOUT, STOP_TIMEOUT, Daemon, command
from tests.e2e.wire import RawClient


@pytest.fixture
def data(start: Callable[..., Daemon]) -> str:
    """A data directory that was in use."""
    daemon = start()
    daemon.stop()
    return str(daemon.folder)


def run(output: int, *options: str, is_buffered: bool) -> tuple[int, str]:
    """Run chatd with its stdout on a descriptor; return its exit code and its output."""
    done = subprocess.run(
        command(*options),
        stdout=output,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "" if is_buffered else "1"},
        text=True,
        timeout=START_TIMEOUT,
        check=False,
    )
    return done.returncode, done.stderr


def listening_port(pid: int) -> int:
    """Return the port on which a process listens, once it does (proc(5))."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        links = set(links_of(pid))
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in links:
                return int(local.partition(":")[2], 16)
        time.sleep(0.02)
    raise AssertionError("it does not listen")


def links_of(pid: int) -> Iterator[str]:
    """Yield what the descriptors of a process lead to."""
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            yield str(path.readlink())


@contextmanager
def redirected(streams: str, data: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a daemon with its streams redirected; it is killed at the end if it still runs."""
    shell = ["sh", "-c", f'exec "$@" {streams}', "sh", *command("--data", str(data))]
    with subprocess.Popen(shell, stderr=subprocess.PIPE, text=True) as daemon:
        try:
            yield daemon
        finally:
            daemon.kill()


@pytest.mark.parametrize("is_buffered", [True, False], ids=["buffered", "unbuffered"])
def test_what_nobody_reads_ends_as_sigpipe_would_end_it_and_quietly(
    data: str, *, is_buffered: bool
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for options in (["--help"], ["--version"], ["--check", data]):
        assert run(writer, *options, is_buffered=is_buffered) == (128 + signal.SIGPIPE, "")
    os.close(writer)


@pytest.mark.parametrize("is_buffered", [True, False], ids=["buffered", "unbuffered"])
def test_what_finds_no_room_is_one_clear_line(data: str, *, is_buffered: bool) -> None:
    with Path("/dev/full").open("wb") as full:
        for options in (["--help"], ["--version"], ["--check", data]):
            code, output = run(full.fileno(), *options, is_buffered=is_buffered)
            assert (code, output) == (2, "chatd: cannot write to stdout: no space left on device\n")


@pytest.mark.parametrize("streams", [">&-", "> /dev/full", "<&- >&-", "<&- >&- 2>&-"])
def test_a_daemon_serves_and_stops_whatever_its_streams_are(streams: str, tmp_path: Path) -> None:
    with redirected(streams, tmp_path) as daemon:
        with RawClient(("127.0.0.1", listening_port(daemon.pid))) as client:
            assert client.ask("ping")["code"] == "pong"
        daemon.terminate()
        assert daemon.wait(STOP_TIMEOUT) == 0
        assert daemon.stderr is not None
        assert "Traceback" not in daemon.stderr.read()
