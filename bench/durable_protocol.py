"""The durable protocol: an author waits until the server has stored each message."""

import json
from functools import lru_cache
from typing import ClassVar, Final, Protocol, runtime_checkable

from bench.measure import Target
from bench.protocols import ANY, ChatdProtocol
from bench.sockets import BytePattern, connect_author, receive_until, repeated

_OFFLINE: Final = "away"


@runtime_checkable
class DurableProtocol(Protocol):
    """What is sent and received; every message of a pattern has the same length."""

    def prepare(self, target: Target) -> None:
        """Fill a new log until all ids in it have the same number of digits."""
        ...

    def durable_hello(self, name: str) -> bytes:
        """Say hello as `name` and ask for acknowledgements; answered like a hello."""
        ...

    def durable_messages(self, name: str, count: int, size: int) -> BytePattern:
        """Return messages of `size` characters by `name`, `count` of which count as different."""
        ...

    def acknowledgements(self, name: str, count: int) -> BytePattern:
        """Return the acknowledgements that `name` gets, with `ANY` for the ids."""
        ...


class ChatdDurableProtocol(ChatdProtocol):
    """chatd with refs: direct messages for somebody who is offline, each acknowledged."""

    welcome = b"}\n"

    PREFILLED: ClassVar[int] = 100_000
    """Messages that are in the log when it begins: ids have six digits for 900,000 more."""

    def prepare(self, target: Target) -> None:
        """Register a client, let it leave, and send it so many messages."""
        connect_author(target, _OFFLINE).close()
        fill = _message(to=_OFFLINE, content="filling") * 1_000
        with connect_author(target, "filler") as filler:
            for _ in range(self.PREFILLED // 1_000 - 1):
                filler.sendall(fill)
            filler.sendall(fill[: -len(fill) // 1_000])
            filler.sendall(_message(to=_OFFLINE, content="full", ref="last"))
            receive_until(filler, b'"id":%d}\n' % self.PREFILLED)

    def hello(self, name: str) -> bytes:
        """Join as `name`, with version 1."""
        return json.dumps({"code": "hello", "name": name, "version": 1}).encode() + b"\n"

    def durable_hello(self, name: str) -> bytes:
        """Version 1 acknowledges messages anyway."""
        return self.hello(name)

    def durable_messages(self, _name: str, count: int, size: int) -> BytePattern:
        """Return messages that each have a ref of their own."""
        return _messages(count, size)

    def acknowledgements(self, _name: str, count: int) -> BytePattern:
        """Return an ack for each ref."""
        return _acks(count, digits=len(str(self.PREFILLED)))


# Authors send and receive the same, so they share what would be 4 MB for each of a hundred.
@lru_cache(maxsize=1)
def _messages(count: int, size: int) -> BytePattern:
    messages = [
        _message(to=_OFFLINE, content="." * size, ref=f"{number:08}") for number in range(count)
    ]
    return BytePattern(b"".join(messages), len(messages[0]))


@lru_cache(maxsize=1)
def _acks(count: int, digits: int) -> BytePattern:
    acks = [
        b'{"code":"ack","ref":"%08d","id":%b}\n' % (number, ANY * digits) for number in range(count)
    ]
    mask = repeated(acks[0], 1).mask
    assert mask is not None
    return BytePattern(b"".join(acks), len(acks[0]), mask[: len(acks[0])] * count)


def _message(**fields: str) -> bytes:
    return json.dumps({"code": "outgoing"} | fields, separators=(",", ":")).encode() + b"\n"
