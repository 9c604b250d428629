"""How a server that keeps messages is spoken to by authors who wait until theirs is kept."""

import json
from functools import lru_cache
from typing import ClassVar, Final, Protocol, runtime_checkable

from bench.dialects import ANY, ChatdDialect
from bench.measurement import Target
from bench.sockets import author, hear_until
from bench.tape import Tape, repeated

_AWAY: Final = "away"


@runtime_checkable
class Keeping(Protocol):
    """What is said and heard; every message of a tape has the same length."""

    def prepare(self, target: Target) -> None:
        """Bring a new server to where all places in its log have as many digits."""
        ...

    def introduce(self, name: str) -> bytes:
        """Come as `name`, who wants to be told; answered like a hello."""
        ...

    def kept(self, name: str, count: int, size: int) -> Tape:
        """Return messages of `size` characters by `name`, `count` of which count as different."""
        ...

    def acknowledged(self, name: str, count: int) -> Tape:
        """Return what `name` is told of them, with `ANY` for the places."""
        ...


class KeepingDialect(ChatdDialect):
    """chatd with refs: direct messages for someone who is away, each acknowledged."""

    welcome = b"}\n"

    FILLED: ClassVar[int] = 100_000
    """Messages that are in the log when it begins: places have six digits for 900,000 more."""

    def prepare(self, target: Target) -> None:
        """Let somebody come and go, to whom so many messages are sent."""
        author(target, _AWAY).close()
        fill = _message(to=_AWAY, content="filling") * 1_000
        with author(target, "filler") as filler:
            for _ in range(self.FILLED // 1_000 - 1):
                filler.sendall(fill)
            filler.sendall(fill[: -len(fill) // 1_000])
            filler.sendall(_message(to=_AWAY, content="full", ref="last"))
            hear_until(filler, b'"id":%d}\n' % self.FILLED)

    def hello(self, name: str) -> bytes:
        """Join as `name`, with version 1."""
        return json.dumps({"code": "hello", "name": name, "version": 1}).encode() + b"\n"

    def introduce(self, name: str) -> bytes:
        """Whoever has said hello with version 1 is told."""
        return self.hello(name)

    def kept(self, _name: str, count: int, size: int) -> Tape:
        """Return messages that each have a ref of their own."""
        return _said(count, size)

    def acknowledged(self, _name: str, count: int) -> Tape:
        """Return an ack for each ref."""
        return _acks(count, places=len(str(self.FILLED)))


# Authors say and hear the same, so they share what would be 4 MB for each of a hundred.
@lru_cache(maxsize=1)
def _said(count: int, size: int) -> Tape:
    said = [_message(to=_AWAY, content="." * size, ref=f"{number:08}") for number in range(count)]
    return Tape(b"".join(said), len(said[0]))


@lru_cache(maxsize=1)
def _acks(count: int, places: int) -> Tape:
    heard = [
        b'{"code":"ack","ref":"%08d","id":%b}\n' % (number, ANY * places) for number in range(count)
    ]
    mask = repeated(heard[0], 1).mask
    assert mask is not None
    return Tape(b"".join(heard), len(heard[0]), mask[: len(heard[0])] * count)


def _message(**fields: str) -> bytes:
    return json.dumps({"code": "outgoing"} | fields, separators=(",", ":")).encode() + b"\n"
