"""The wire protocol of a candidate: the bytes of every message a job sends or must receive."""

import json
from collections.abc import Iterator
from random import Random
from typing import Final, Protocol

DELAY: Final = (3.0, 7.0)
"""The range (s) from which a server draws the delay of an answer; long enough to ask for all."""

DELAY_SEED: Final = 1
"""The seed from which it draws them."""

ANY: Final = b"\xff"
"""In a `pong`: some byte that cannot be known, part of a time."""


class WireProtocol(Protocol):
    """Requests to a server and, byte for byte, what it has to answer.

    Names and contents are plain ASCII, so that every protocol can carry them as they are.
    """

    welcome: bytes
    """How the answer to `hello` ends."""
    ready: bytes
    """How the answer to a subscription ends, where one is sent."""
    pong: bytes
    """The answer to a ping, with `ANY` where it holds times."""

    @property
    def server_ping(self) -> tuple[bytes, bytes] | None:
        """What the server asks everyone by itself, a while after hello, and the answer to it."""
        ...

    def hello(self, name: str) -> bytes:
        """Log in as `name`; after the answer one may send."""
        ...

    def subscribe_to_all(self) -> bytes:
        """Subscribe to broadcasts; empty where hello is enough."""
        ...

    def subscribe_to_own(self, name: str) -> bytes:
        """Subscribe to direct messages; empty where hello is enough."""
        ...

    def ping(self) -> bytes:
        """Ask for a `pong`."""
        ...

    def broadcast(self, content: str) -> bytes:
        """Send `content` to every other member."""
        ...

    def broadcast_delivery(self, author: str, content: str) -> bytes:
        """Return what every other member receives of a `broadcast`."""
        ...

    def direct(self, to: str, content: str) -> bytes:
        """Send `content` to one member."""
        ...

    def direct_delivery(self, author: str, to: str, content: str) -> bytes:
        """Return what the recipient of a `direct` receives."""
        ...

    def author_reply(self, receivers: int) -> bytes:
        """Return what the author receives of a message that so many received; often nothing."""
        ...


def _line(**fields: str) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


class ChatdProtocol:
    """Newline-delimited JSON as chatd writes it to a client with a bare hello."""

    welcome = _line(code="welcome")
    ready = b""
    pong = b'{"code":"pong","received":"%b","sent":"%b","ref":"1"}\n' % (ANY * 27, ANY * 27)
    server_ping: tuple[bytes, bytes] | None = None

    def hello(self, name: str) -> bytes:
        """Join as `name`, without a version."""
        return _line(code="hello", name=name)

    def subscribe_to_all(self) -> bytes:
        """Every member receives broadcasts."""
        return b""

    def subscribe_to_own(self, _name: str) -> bytes:
        """Every member receives what is sent to it."""
        return b""

    def ping(self) -> bytes:
        """Ask for a `pong`, with a ref as clients do."""
        return _line(code="ping", ref="1")

    def broadcast(self, content: str) -> bytes:
        """Send `content` to every other member."""
        return _line(code="outgoing_broadcast", content=content)

    def broadcast_delivery(self, author: str, content: str) -> bytes:
        """Return the `incoming_broadcast` of a bare client."""
        return _line(**{"code": "incoming_broadcast", "from": author, "content": content})

    def direct(self, to: str, content: str) -> bytes:
        """Send `content` to the member `to`."""
        return _line(code="outgoing", to=to, content=content)

    def direct_delivery(self, author: str, _to: str, content: str) -> bytes:
        """Return the `incoming` of a bare client."""
        return _line(**{"code": "incoming", "from": author, "content": content})

    def author_reply(self, _receivers: int) -> bytes:
        """Messages without a ref are not acknowledged."""
        return b""

    def request(self, number: int) -> bytes:
        """Ask for two entities, as the specification does; answered after a delay."""
        data = "Hub&&name&&qwe&&id&&123&&%%Device&&name&&wqe&&id&&234&&"
        return _line(request_id=str(number), data=data)

    def response(self, number: int) -> bytes:
        """Return the line, without its end, that answers the `request` with this number."""
        entities = '{"Hub":{"name":"qwe","id":"123"},"Device":{"name":"wqe","id":"234"}}'
        return f'{{"request_id":"{number}","data":{entities}}}'.encode()

    def delays(self) -> Iterator[float]:
        """Yield what `Random.uniform` draws (s) for the requests in their order."""
        draw = Random(DELAY_SEED)
        while True:
            yield draw.uniform(*DELAY)
