"""Output that nobody reads, that finds no space, or that the caller closed."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.chatctl_process import begin, finish, run
from tests.support.daemon_process import Daemon

CHATCTL = (sys.executable, "-W", "error", "-m", "chatctl")
OFFLINE = [
    ["--help"],
    ["--version"],
    ["--print-completion", "bash"],
    ["request", "--help"],
]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files be written to a directory of the test's own."""
    monkeypatch.chdir(tmp_path)


@contextmanager
def unread_pipe() -> Iterator[int]:
    """Give a pipe from which nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@contextmanager
def full_disk() -> Iterator[int]:
    """Give a file on a full disk."""
    with Path("/dev/full").open("wb") as file:
        yield file.fileno()


def run_writing_to(
    words: list[str], output: int, *, typed: str = "", is_buffered: bool = True
) -> tuple[int, str]:
    """Run a command that writes to `output`; return its exit code and what it said."""
    environment = {"PYTHONUNBUFFERED": "" if is_buffered else "1"}
    command = [*CHATCTL, *words]
    done = processes.run(command, stdin=typed, stdout=output, environment=environment)
    return done.code, done.err


@pytest.mark.parametrize("is_buffered", [True, False], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("words", OFFLINE, ids=" ".join)
def test_a_pipe_that_nobody_reads_ends_it_as_sigpipe_would_and_quietly(
    words: list[str], *, is_buffered: bool
) -> None:
    with unread_pipe() as pipe:
        assert run_writing_to(words, pipe, is_buffered=is_buffered) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize("is_buffered", [True, False], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("words", OFFLINE, ids=" ".join)
def test_a_full_disk_is_one_line_with_code_7(words: list[str], *, is_buffered: bool) -> None:
    with full_disk() as file:
        code, error_output = run_writing_to(words, file, is_buffered=is_buffered)
    assert (code, error_output) == (7, "chatctl: cannot write to stdout: no space left on device\n")


@pytest.mark.parametrize(
    ("redirection", "code", "expected"),
    [
        ("--version >&-", 0, ""),
        ("who --server 127.0.0.1:1 >&-", 3, "cannot connect to 127.0.0.1:1"),
        # What is said goes nowhere, above all not to where data goes.
        ("who --server 127.0.0.1:1 2>&-", 3, ""),
        ("who --server 127.0.0.1:1 <&- >&- 2>&-", 3, ""),
    ],
)
def test_what_the_caller_closed_leads_nowhere(redirection: str, code: int, expected: str) -> None:
    done = processes.run(["sh", "-c", f'"$@" {redirection}', "sh", *CHATCTL])
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"chatctl: {expected}" if expected else "")
    assert done.err.count("\n") == bool(expected)


@pytest.mark.parametrize(
    "words",
    [
        ["history", "--json"],
        ["export"],
        ["ping", "-c", "3", "-i", "1ms"],
        ["feed", "--interval", "1ms"],
        ["request", "A&&k&&v"],
        ["timestamp", "--live", "--duration", "30s"],
        ["share", "--group", "streams", "--json"],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize(
    ("make_output", "code", "problem"),
    [(unread_pipe, 141, ""), (full_disk, 7, "cannot write to stdout: no space left on device\n")],
    ids=["unread", "full"],
)
@pytest.mark.usefixtures("elsewhere")
def test_a_command_ends_when_it_cannot_write(
    make_output: Callable[[], AbstractContextManager[int]],
    code: int,
    problem: str,
    words: list[str],
    daemon: Daemon,
) -> None:
    run("send", "*", "hello", daemon=daemon)
    with make_output() as output:
        ended = finish(begin(*words, daemon=daemon, stdout=output))
    assert ended.code == code
    assert ended.err.endswith(problem)
    assert "Traceback" not in ended.err
    assert "Exception" not in ended.err


def test_a_chat_whose_lines_nobody_reads_ends(daemon: Daemon) -> None:
    with unread_pipe() as pipe:
        code, error_output = run_writing_to(
            ["--server", f":{daemon.port}", "chat"], pipe, typed="who\n"
        )
    assert code == 141
    assert error_output.startswith(f"connecting to server at {daemon.host}, {daemon.port}\n")
    assert "Traceback" not in error_output
