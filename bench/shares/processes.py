"""The processes of a run: start them, read their events, and coordinate peers of our own.

A peer that the benchmark implements itself prints `Listening`, reads `PeerAddresses`, prints
`Connected` when it is connected to all others, reads `Go`, and prints `Complete` once it has every
file. Its stdin is closed at the end of the run, and then it exits.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

import msgspec
from msgspec import Struct

from bench.errors import BenchError, BenchTimeoutError, WrongAnswerError
from bench.shares.network import Host

_STOP_S = 5.0
_MAX_STDERR = 500  # characters of a process's stderr that are shown

Event = dict[str, Any]
"""A line of JSON from a process, with its `code`; any other line becomes the `line` of a `text`."""


class ProcessEvent(NamedTuple):
    """An event of a process at `at` (s, monotonic clock); the last event of each is empty."""

    process: int
    at: float
    event: Event


class ProcessGroup:
    """Starts processes that print events, and ends them on exit."""

    def __init__(self, directory: Path, deadline: float) -> None:
        self._directory = directory
        self._deadline = deadline  # s, monotonic clock
        self._processes: list[subprocess.Popen[str]] = []
        self._events = Queue[ProcessEvent]()
        self._first_events: dict[tuple[int, str], ProcessEvent] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.terminate()
            process.send_signal(signal.SIGCONT)  # a stopped process handles no other signal
        for process in self._processes:
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if isinstance(error, BenchError):
            raise type(error)(f"{error}\n{self._stderr_ends()}".rstrip()) from None

    def start(self, host: Host, command: Sequence[str]) -> int:
        """Start `command` on `host`; return the number of the process, from 0 on."""
        number = len(self._processes)
        with self._stderr(number).open("w") as stderr:
            process = subprocess.Popen(
                host.command(*command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,  # Ctrl-C is for the benchmark, which ends them
            )
        self._processes.append(process)
        assert process.stdout is not None
        Thread(target=self._listen, args=(number, process.stdout), daemon=True).start()
        return number

    def send_line(self, command: object) -> None:
        """Write `command` as a line of JSON to all processes."""
        line = msgspec.json.encode(command).decode() + "\n"
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(line)
            process.stdin.flush()

    def signal(self, number: int, what: signal.Signals) -> None:
        """Send the signal `what` to a process."""
        self._processes[number].send_signal(what)

    def check(self) -> None:
        """Raise WrongAnswerError when a process has ended, BenchTimeoutError after the deadline."""
        for number, process in enumerate(self._processes):
            if process.poll() is not None:
                raise WrongAnswerError(
                    f"process {number} ended with exit code {process.returncode}"
                )
        if time.monotonic() > self._deadline:
            raise BenchTimeoutError("not all processes have started in time")

    def wait_for(self, code: str, processes: Sequence[int]) -> list[ProcessEvent]:
        """Wait for the first event called `code` of each of `processes`.

        Raises WrongAnswerError when one ends before, BenchTimeoutError at the deadline.
        """
        while waiting := [
            number for number in processes if (number, code) not in self._first_events
        ]:
            try:
                process_event = self._events.get(
                    timeout=max(0.0, self._deadline - time.monotonic())
                )
            except Empty:
                names = ", ".join(map(str, waiting))
                raise BenchTimeoutError(f"no {code!r} in time from process {names}") from None
            if process_event.event:
                self._first_events.setdefault(
                    (process_event.process, str(process_event.event.get("code"))), process_event
                )
            elif process_event.process in waiting:
                raise WrongAnswerError(f"process {process_event.process} ended without {code!r}")
        return [self._first_events[number, code] for number in processes]

    def _listen(self, number: int, stdout: IO[str]) -> None:
        for line in stdout:
            at = time.monotonic()
            try:
                event = msgspec.json.decode(line, type=Event)
            except msgspec.MsgspecError:
                event = {"code": "text", "line": line}
            self._events.put(ProcessEvent(number, at, event))
        self._events.put(ProcessEvent(number, time.monotonic(), {}))

    def _stderr_ends(self) -> str:
        stderr_ends = (
            f"process {number}: {text[-_MAX_STDERR:]}"
            for number in range(len(self._processes))
            if (text := self._stderr(number).read_text().strip())
        )
        return "\n".join(stderr_ends)

    def _stderr(self, number: int) -> Path:
        return self._directory / f"stderr-{number}"


class Listening(Struct, frozen=True, tag_field="code", tag="listening"):
    """Other peers can connect."""

    port: int


class Connected(Struct, frozen=True, tag_field="code", tag="connected"):
    """The peer is connected to all others."""


class Complete(Struct, frozen=True, tag_field="code", tag="complete"):
    """The peer has all files."""


class PeerAddresses(Struct, frozen=True):
    """The host and port of every peer, in the order of their numbers."""

    addresses: Sequence[tuple[str, int]]


class Go(Struct, frozen=True):
    """The measurement starts."""


def report(event: Listening | Connected | Complete) -> None:
    """Print an event for the benchmark, at once."""
    print(msgspec.json.encode(event).decode(), flush=True)


def wait_for_addresses() -> Sequence[tuple[str, int]]:
    """Return the addresses of all peers."""
    return msgspec.json.decode(sys.stdin.readline(), type=PeerAddresses).addresses


def wait_for_go() -> None:
    """Return when the transfer may start."""
    msgspec.json.decode(sys.stdin.readline(), type=Go)


def wait_for_end() -> None:
    """Return when the run is over."""
    sys.stdin.read()
