"""The processes of one run, each in the namespace of a host, and what they say on stdout."""

import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

import msgspec

from bench.errors import BenchError, BenchTimeoutError, WrongAnswerError
from bench.shares.network import Host

_STOP_S = 5.0
_SAID = 500  # characters of a process's last words that are shown

Event = dict[str, Any]
"""A line of JSON that a process said; its `code` tells what it is about.

Any other line is the `line` of an event with the code `text`.
"""


class Heard(NamedTuple):
    """Which process said what at `at` (s, monotonic clock); its last event is empty."""

    speaker: int
    at: float
    event: Event


class Crew:
    """Starts processes that print lines, most of them JSON, and ends them when it is left."""

    def __init__(self, directory: Path, deadline: float) -> None:
        self._directory = directory
        self._deadline = deadline  # s, monotonic clock: when waiting for them is given up
        self._processes: list[subprocess.Popen[str]] = []
        self._heard = Queue[Heard]()
        self._first: dict[tuple[int, str], Heard] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.terminate()
            process.send_signal(signal.SIGCONT)  # who is halted hears nothing else
        for process in self._processes:
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if isinstance(fault, BenchError):
            raise type(fault)(f"{fault}\n{self._last_words()}".rstrip()) from None

    def start(self, host: Host, command: Sequence[str]) -> int:
        """Start `command` on `host`; return the number by which it is known, from 0 on."""
        number = len(self._processes)
        with self._stderr(number).open("w") as stderr:
            process = subprocess.Popen(
                host.command(*command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,  # Ctrl-C is for us: we end them
            )
        self._processes.append(process)
        assert process.stdout is not None
        Thread(target=self._listen, args=(number, process.stdout), daemon=True).start()
        return number

    def tell(self, command: object) -> None:
        """Write `command` as a line of JSON to all."""
        line = msgspec.json.encode(command).decode() + "\n"
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(line)
            process.stdin.flush()

    def signal(self, number: int, what: signal.Signals) -> None:
        """Send `what` to a process."""
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

    def hear(self, code: str, speakers: Sequence[int]) -> list[Heard]:
        """Return the first event called `code` of each of `speakers`, once all have said it.

        Raises WrongAnswerError when one ends before, BenchTimeoutError at the deadline.
        """
        while silent := [number for number in speakers if (number, code) not in self._first]:
            try:
                heard = self._heard.get(timeout=max(0.0, self._deadline - time.monotonic()))
            except Empty:
                names = ", ".join(map(str, silent))
                raise BenchTimeoutError(f"no {code!r} in time from process {names}") from None
            if heard.event:
                self._first.setdefault((heard.speaker, str(heard.event.get("code"))), heard)
            elif heard.speaker in silent:
                raise WrongAnswerError(f"process {heard.speaker} ended and had not said {code!r}")
        return [self._first[number, code] for number in speakers]

    def _listen(self, number: int, stdout: IO[str]) -> None:
        for line in stdout:
            at = time.monotonic()
            try:
                event = msgspec.json.decode(line, type=Event)
            except msgspec.MsgspecError:
                event = {"code": "text", "line": line}
            self._heard.put(Heard(number, at, event))
        self._heard.put(Heard(number, time.monotonic(), {}))

    def _last_words(self) -> str:
        said = (
            f"process {number}: {text[-_SAID:]}"
            for number in range(len(self._processes))
            if (text := self._stderr(number).read_text().strip())
        )
        return "\n".join(said)

    def _stderr(self, number: int) -> Path:
        return self._directory / f"stderr-{number}"
