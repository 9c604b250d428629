"""How a candidate is spoken to: the bytes of every message a job sends or must hear."""

import json
from collections.abc import Iterator
from random import Random
from typing import Protocol

DELAY = (3.0, 7.0)
"""Seconds (s) between which a server that delays answers is told to draw; time to ask them all."""

DELAY_SEED = 1
"""What it is told to draw them from."""


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

    def request(self, number: int) -> bytes:
        """Ask for what comes after a delay, as `response`."""
        ...

    def response(self, number: int) -> bytes:
        """Return the line, without its end, that answers the `request` with this number."""
        ...

    def delays(self) -> Iterator[float]:
        """Yield what the server draws (s) for the requests in the order in which they come."""
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

    def request(self, number: int) -> bytes:
        """Ask for two entities, as the specification does."""
        data = "Hub&&name&&qwe&&id&&123&&%%Device&&name&&wqe&&id&&234&&"
        return _line(request_id=str(number), data=data)

    def response(self, number: int) -> bytes:
        """Return these entities."""
        entities = '{"Hub":{"name":"qwe","id":"123"},"Device":{"name":"wqe","id":"234"}}'
        return f'{{"request_id":"{number}","data":{entities}}}'.encode()

    def delays(self) -> Iterator[float]:
        """Yield what `Random.uniform` draws, as chatd does."""
        draw = Random(DELAY_SEED)
        while True:
            yield draw.uniform(*DELAY)
