"""What a client asks for once and keeps getting, over as many links as it takes."""

from typing import Protocol

from chatctl.errors import RefusedError
from chatctl.questions import Key


class Standing(Protocol):
    """Asked for again on each new link, ended with the session."""

    def renew(self) -> bytes:
        """Return the lines that a new link begins with, each with its newline."""

    @property
    def is_full(self) -> bool:
        """Whether reading is to pause until the program has caught up."""

    @property
    def is_hungry(self) -> bool:
        """Whether the program has caught up, so that reading must not pause for other things."""

    def refuse(self, key: Key, error: RefusedError) -> None:
        """Take a refusal that answers no question; `key` tells whose it is."""

    def end(self, error: Exception | None) -> None:
        """Let the program see the end of the session."""


class Standings:
    """All that stands."""

    def __init__(self) -> None:
        self._all: list[Standing] = []

    def add(self, standing: Standing) -> None:
        """Have one more looked after."""
        self._all.append(standing)

    def renew(self) -> bytes:
        """Return what a new link begins with."""
        return b"".join(standing.renew() for standing in self._all)

    @property
    def is_full(self) -> bool:
        """Whether reading is to pause for one of them."""
        return any(standing.is_full for standing in self._all)

    @property
    def is_hungry(self) -> bool:
        """Whether one of them wants more."""
        return any(standing.is_hungry for standing in self._all)

    def refuse(self, key: Key, error: RefusedError) -> None:
        """Hand a refusal to whomever it concerns."""
        for standing in self._all:
            standing.refuse(key, error)

    def end(self, error: Exception | None) -> None:
        """Let all of them end."""
        for standing in self._all:
            standing.end(error)
