"""What happens while files are shared, as a program reads it and as a person does."""

import re
from typing import ClassVar

from msgspec import Struct

from common.text import visible
from common.units import format_duration


class Event(
    Struct,
    frozen=True,
    tag_field="code",
    tag=lambda name: re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(),
):
    """One line of ``--json``; its text is for people."""

    words: ClassVar[str] = ""

    def __str__(self) -> str:
        fields = {name: str(getattr(self, name)) for name in self.__struct_fields__}
        return self.words.format(**{name: visible(text) for name, text in fields.items()})


class Listening(Event, frozen=True):
    """Other peers can reach us."""

    words = "listening on {host}:{port}"

    host: str
    port: int


class Recovered(Event, frozen=True):
    """An earlier run has fetched all that these peers shared, and was killed."""

    peers: tuple[str, ...]

    def __str__(self) -> str:
        names = visible(", ".join(self.peers))
        return f"an earlier run has all files of {names}; they count for who does not come again"


class Awaiting(Event, frozen=True):
    """It is waited, `seconds` at most, for so many others, None for whoever comes."""

    peers: int | None
    seconds: float

    def __str__(self) -> str:
        others = "peer" if self.peers == 1 else "peers"
        whom = "others" if self.peers is None else f"{self.peers} other {others}"
        return f"waiting up to {format_duration(self.seconds)} for {whom}"


class Met(Event, frozen=True):
    """There is a link to a peer of the group."""

    words = "peer {id} is here ({address})"

    id: str
    address: str


class Introduced(Event, frozen=True):
    """All peers that were expected have been met."""

    words = "all {peers} peers are here"

    peers: int


class Parted(Event, frozen=True):
    """The link to a peer is gone."""

    words = "peer {id} {why}"

    id: str
    why: str


class Dropped(Event, frozen=True):
    """A peer is dealt with no more."""

    words = "peer {id} is dropped: it {why}"

    id: str
    why: str


class OutOfReach(Event, frozen=True):
    """A peer is known of, and cannot be dialled."""

    words = "{who} cannot be reached from here at {address}: {why}; files only go directly"

    who: str
    address: str
    why: str


class TurnedAway(Event, frozen=True):
    """Somebody knocked and was not let in."""

    words = "{address} was not let in: {why}"

    address: str
    why: str


class NotTaken(Event, frozen=True):
    """The files of a peer are not fetched."""

    words = "the files of {owner} are not taken: {why}"

    owner: str
    why: str


class Declined(Event, frozen=True):
    """A peer does not fetch our files."""

    words = "peer {id} does not take our files: {why}"

    id: str
    why: str


class Received(Event, frozen=True):
    """A file is whole, checked, and on disk."""

    words = "{path} ({size} bytes of {owner})"

    owner: str
    name: str
    path: str
    size: int


class NotKept(Event, frozen=True):
    """A file came whole and cannot be kept."""

    words = "{name} of {owner} cannot be kept: {why}"

    owner: str
    name: str
    why: str


class Complete(Event, frozen=True):
    """Every file of every peer that was met is here."""

    words = "all is here after {seconds} s"

    seconds: float
