"""A raw client of nothing but socket and json, as anybody could write it in an hour."""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

TIMEOUT: Final = 60.0
"""Seconds (s) to wait for an answer on a busy machine; a right answer takes a millisecond."""


class RawClient:
    """One connection; `receive` waits for the next line."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, TIMEOUT)
        self._lines = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
