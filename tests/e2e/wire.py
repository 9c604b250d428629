"""A client made of nothing but socket and json, as a stranger would write it."""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

PATIENCE: Final = 60.0
"""Seconds (s) to wait for an answer on a busy machine; a right answer takes a millisecond."""


class Wire:
    """One connection; `say` sends, `hear` waits for the next line."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, PATIENCE)
        self._lines = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(raw)

    def say(self, code: str, **fields: Any) -> None:
        """Send one message with its newline."""
        self.send(json.dumps({"code": code, **fields}).encode() + b"\n")

    def hear_line(self) -> str:
        """Return the next line without its newline, "" at the end."""
        return self._lines.readline().decode().removesuffix("\n")

    def hear(self) -> dict[str, Any]:
        """Return the next message; {} at the end."""
        line = self.hear_line()
        message: dict[str, Any] = json.loads(line) if line else {}
        return message

    def hear_all(self) -> list[str]:
        """Return every line up to the end."""
        return [line.decode().removesuffix("\n") for line in self._lines]

    def ask(self, code: str, **fields: Any) -> dict[str, Any]:
        """Send one message and return the next that comes."""
        self.say(code, **fields)
        return self.hear()

    def hello(self, name: str, **fields: Any) -> dict[str, Any]:
        """Say hello and return the welcome."""
        welcome = self.ask("hello", name=name, **fields)
        assert welcome["code"] == "welcome", welcome
        return welcome

    def end_input(self) -> None:
        """Half-close: say no more, still listen."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Vanish with an RST instead of a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._lines.close()
        self.socket.close()


@contextmanager
def present(address: tuple[str, int], name: str) -> Iterator[Wire]:
    """Be there with a client of the original protocol, until the daemon has let the name go."""
    with Wire(address) as wire:
        wire.hello(name)
        yield wire
        wire.say("quit")
        wire.hear_all()
