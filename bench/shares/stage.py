"""What the benchmark and a peer of its own making say to each other, line by line.

The peer says `Listening`, gets `PeerAddresses`, says `Connected` when it is with everyone, gets
`Go`, and says `Complete` once it has every file. Its stdin ends with the run, and it with that.
"""

import sys
from collections.abc import Sequence

import msgspec
from msgspec import Struct


class Listening(Struct, frozen=True, tag_field="code", tag="listening"):
    """Others can connect."""

    port: int


class Connected(Struct, frozen=True, tag_field="code", tag="connected"):
    """There is a connection to everyone."""


class Complete(Struct, frozen=True, tag_field="code", tag="complete"):
    """Every file of everyone is here."""


class PeerAddresses(Struct, frozen=True):
    """The host and port of every peer, in the order of their numbers."""

    addresses: Sequence[tuple[str, int]]


class Go(Struct, frozen=True):
    """The time runs."""


def say(event: Listening | Connected | Complete) -> None:
    """Tell the benchmark, at once."""
    print(msgspec.json.encode(event).decode(), flush=True)


def await_addresses() -> Sequence[tuple[str, int]]:
    """Return the addresses of all."""
    return msgspec.json.decode(sys.stdin.readline(), type=PeerAddresses).addresses


def await_go() -> None:
    """Return when the transfer may begin."""
    msgspec.json.decode(sys.stdin.readline(), type=Go)


def await_end() -> None:
    """Return when the run is over."""
    sys.stdin.read()
