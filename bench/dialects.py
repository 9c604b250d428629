"""How a candidate is spoken to: the bytes of every message a job sends or must hear."""

import json
from typing import Protocol


class Dialect(Protocol):
    """Requests to a server and, byte for byte, what it has to answer.

    Names and contents are plain ASCII, so that every dialect can carry them as they are.
    """

    welcome: bytes
    pong: bytes
    """How the answer to a ping begins; what follows may hold times."""

    def hello(self, name: str) -> bytes:
        """Join as `name`; the answer is `welcome`."""
        ...

    def ping(self) -> bytes:
        """Ask for a `pong`."""
        ...

    def broadcast(self, content: str) -> bytes:
        """Send `content` to every other member."""
        ...

    def broadcast_heard(self, author: str, content: str) -> bytes:
        """Return what every other member hears of a `broadcast`."""
        ...

    def direct(self, to: str, content: str) -> bytes:
        """Send `content` to one member."""
        ...

    def direct_heard(self, author: str, content: str) -> bytes:
        """Return what the recipient of a `direct` hears."""
        ...


def _line(**fields: str) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


class ChatdDialect:
    """Newline-delimited JSON as chatd writes it to a client with a bare hello."""

    welcome = _line(code="welcome")
    pong = b'{"code":"pong",'

    def hello(self, name: str) -> bytes:
        """Join as `name`, without a version."""
        return _line(code="hello", name=name)

    def ping(self) -> bytes:
        """Ask for a `pong`, with a ref as clients do."""
        return _line(code="ping", ref="1")

    def broadcast(self, content: str) -> bytes:
        """Send `content` to every other member."""
        return _line(code="outgoing_broadcast", content=content)

    def broadcast_heard(self, author: str, content: str) -> bytes:
        """Return the `incoming_broadcast` of a bare client."""
        return _line(**{"code": "incoming_broadcast", "from": author, "content": content})

    def direct(self, to: str, content: str) -> bytes:
        """Send `content` to the member `to`."""
        return _line(code="outgoing", to=to, content=content)

    def direct_heard(self, author: str, content: str) -> bytes:
        """Return the `incoming` of a bare client."""
        return _line(**{"code": "incoming", "from": author, "content": content})
