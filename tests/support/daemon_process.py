"""The real daemon as a process, and a raw client, for tests over real sockets.

The raw client needs nothing but socket and json, as one that anybody writes in an hour.
"""

import json
import re
import select
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from tests.support import processes
from tests.support.processes import TIMEOUT, wait_until

__all__ = ["TIMEOUT", "Daemon", "RawClient", "command", "logged_in", "refused"]

_LEAKS_AND_ERRORS: Final = re.compile(
    r"Traceback|Exception ignored|never awaited|never retrieved|ResourceWarning|was destroyed"
)


class Daemon:
    """A running chatd on a free port; `stderr` is its log so far."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
        is_debugged: bool = True,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        """Where it keeps its files."""
        self._log = folder / "stderr.txt"
        started = command(*options, "--data", str(folder), is_debugged=is_debugged)
        with self._log.open("ab") as log:
            self.process = processes.start(started, stderr=log, environment=environment)
        self.first_line = self._read_first_line()
        match = re.fullmatch(r"listening on (.+):(\d+)\n", self.first_line)
        assert match, f"{self.first_line!r} {self.stderr}"
        self.host, self.port = match[1].strip("[]"), int(match[2])

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return self.host, self.port

    @property
    def stderr(self) -> str:
        """What it logged so far."""
        return self._log.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it as an operator would; it must go well."""
        self.process.send_signal(number)
        self.wait()

    def wait(self) -> None:
        """Wait for its end; it must go well."""
        code = self.process.wait(TIMEOUT)
        assert code == 0, self.stderr
        assert not _LEAKS_AND_ERRORS.search(self.stderr), self.stderr
        self.close()

    def wait_for_log(self, text: str) -> None:
        """Wait until it has logged `text`."""
        wait_until(lambda: text in self.stderr, lambda: f"{text!r} is not in {self.stderr}")

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait(TIMEOUT)
        self.close()

    def close(self) -> None:
        """Release what belonged to a daemon that has ended."""
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read_first_line(self) -> str:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT)
        if not ready:
            self.kill()
            raise AssertionError(f"the daemon does not listen: {self.stderr}")
        return self.process.stdout.readline()


def command(*options: str, is_debugged: bool = False) -> Sequence[str]:
    """Return the command line that starts a daemon on a free port unless `options` name another."""
    debugging = ("-X", "dev", "-W", "error") if is_debugged else ()
    return (sys.executable, *debugging, "-m", "chatd", "--port", "0", *options)


def refused(*options: str, **environment: str) -> tuple[int, str]:
    """Run a daemon that cannot start; return its exit code and its one line on stderr."""
    result = processes.run(command(*options), environment=environment)
    assert result.out == ""
    assert result.err.count("\n") == 1, result.err
    return result.code, result.err.strip()


class RawClient:
    """One connection; `receive` waits for the next line."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, TIMEOUT)
        self._lines = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send_bytes(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(raw)

    def send(self, code: str, **fields: Any) -> None:
        """Send one message with its newline."""
        self.send_bytes(json.dumps({"code": code, **fields}).encode() + b"\n")

    def receive_line(self) -> str:
        """Return the next line without its newline, "" at the end."""
        return self._lines.readline().decode().removesuffix("\n")

    def receive(self) -> dict[str, Any]:
        """Return the next message; {} at the end."""
        line = self.receive_line()
        message: dict[str, Any] = json.loads(line) if line else {}
        return message

    def receive_to_end(self) -> list[str]:
        """Return every line up to the end."""
        return [line.decode().removesuffix("\n") for line in self._lines]

    def ask(self, code: str, **fields: Any) -> dict[str, Any]:
        """Send one message and return the next that comes."""
        self.send(code, **fields)
        return self.receive()

    def hello(self, name: str, **fields: Any) -> dict[str, Any]:
        """Say hello and return the welcome."""
        welcome = self.ask("hello", name=name, **fields)
        assert welcome["code"] == "welcome", welcome
        return welcome

    def half_close(self) -> None:
        """Shut down the sending side; go on receiving."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Abort with an RST instead of a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._lines.close()
        self.socket.close()


@contextmanager
def logged_in(address: tuple[str, int], name: str) -> Iterator[RawClient]:
    """Log in with a client of the original protocol, and out when the block ends."""
    with RawClient(address) as client:
        client.hello(name)
        yield client
        client.send("quit")
        client.receive_to_end()
