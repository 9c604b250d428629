"""Reads the journals of all clients and tells which promises were broken; no sockets, no files.

A message is identified by its ref, which is its text too; its place in the one order is its id.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from tests.torture.journal import Acked, Began, Row, Seen, Sent, Troubled

EXAMPLES: Final = 3
"""Broken cases of a promise that are told in words."""


class Promise(Struct, frozen=True):
    """How often a promise was put to the test and how often it was `broken`, with examples."""

    text: str
    checked: int
    broken: int
    examples: Sequence[str]


class Sighting(Struct, frozen=True):
    """A message as it came to `reader`; `before` is the id of the one that came before, or 0.

    `is_repeat`: the first of a life is the last one of the life before. The reader was killed
    before its library had noted that it was done with it.
    """

    reader: str
    seen: Seen
    before: int
    is_repeat: bool


class Facts:
    """What the journals say, by message."""

    def __init__(self, journals: Mapping[str, Sequence[Row]]) -> None:
        self.members = list(journals)
        self.lives = 0
        self.authors: dict[str, str] = {}
        self.recipients: dict[str, str | None] = {}
        self.acks: list[Acked] = []
        self.sightings: list[Sighting] = []
        self.troubles: list[str] = []
        for member, rows in journals.items():
            self._take(member, rows)
        self.acked = {ack.ref: ack.id for ack in reversed(self.acks)}
        """The id that each message was first acknowledged with."""
        self.places: defaultdict[str, dict[str, list[int]]] = defaultdict(dict)
        """By message and reader, the ids under which it came, repeats aside."""
        for sighting in self.sightings:
            if not sighting.is_repeat:
                by_reader = self.places[sighting.seen.ref]
                by_reader.setdefault(sighting.reader, []).append(sighting.seen.id)

    def _take(self, member: str, rows: Sequence[Row]) -> None:
        last: Seen | None = None
        is_first = False
        for row in rows:
            match row:
                case Began():
                    self.lives += 1
                    is_first = True
                case Sent():
                    self.authors[row.ref], self.recipients[row.ref] = member, row.to
                case Acked():
                    self.acks.append(row)
                case Seen():
                    is_repeat = is_first and row == last
                    before = last.id if last is not None else 0
                    self.sightings.append(Sighting(member, row, before, is_repeat))
                    last, is_first = row, False
                case Troubled():
                    self.troubles.append(f"{member}: {row.what}")

    @property
    def deliveries(self) -> int:
        """How many messages should have come, counted once for each reader."""
        return sum(len(self.readers(ref)) for ref in self.acked)

    def readers(self, ref: str) -> list[str]:
        """Return those who should see a message: its recipient, or all but its author."""
        if ref not in self.authors:
            return []
        to = self.recipients[ref]
        return [to] if to else [member for member in self.members if member != self.authors[ref]]


def check(facts: Facts) -> list[Promise]:
    """Return every promise with what became of it."""
    came, sent, acks = len(facts.sightings), len(facts.authors), len(facts.acks)
    return [
        promise(
            "each acknowledged message was seen by all it is for", facts.deliveries, _lost(facts)
        ),
        promise("nobody saw a message twice", came, _duplicated(facts)),
        promise("all saw the same order", came, _reordered(facts)),
        promise("what was acknowledged came, under the id in the ack", acks, _phantom(facts)),
        promise("nobody saw what is not for him, or was never sent", came, _strayed(facts)),
        promise("all that was sent is acknowledged in the end", sent, _open(facts)),
        promise("nobody met a gap, a refusal or a new log", facts.lives, facts.troubles),
    ]


def promise(text: str, checked: int, broken: Iterable[str]) -> Promise:
    """Return what became of a promise, given a sentence for each time it was broken."""
    cases = list(broken)
    return Promise(text, checked, len(cases), cases[:EXAMPLES])


def _lost(facts: Facts) -> Iterator[str]:
    for ref, number in facts.acked.items():
        for reader in facts.readers(ref):
            if reader not in facts.places[ref]:
                yield f"{ref}, acknowledged as {number}, never came to {reader}"


def _duplicated(facts: Facts) -> Iterator[str]:
    for ref, by_reader in facts.places.items():
        for reader, ids in by_reader.items():
            if len(ids) > 1:
                yield f"{ref} came to {reader} {len(ids)} times, as {', '.join(map(str, ids))}"


def _reordered(facts: Facts) -> Iterator[str]:
    for sighting in facts.sightings:
        seen = sighting.seen
        if seen.id <= sighting.before and not sighting.is_repeat:
            yield f"{seen.ref} came to {sighting.reader} as {seen.id}, after {sighting.before}"
    refs: defaultdict[int, set[str]] = defaultdict(set)
    for ref, by_reader in facts.places.items():
        ids = {number for numbers in by_reader.values() for number in numbers}
        if len(ids) > 1:
            yield f"{ref} is {' and '.join(map(str, sorted(ids)))}"
        for number in ids:
            refs[number].add(ref)
    for number, those in refs.items():
        if len(those) > 1:
            yield f"{number} is {' and '.join(sorted(those))}"


def _phantom(facts: Facts) -> Iterator[str]:
    for ack in facts.acks:
        ids = {number for ids in facts.places[ack.ref].values() for number in ids}
        if not ids:
            yield f"{ack.ref} was acknowledged as {ack.id}, and nobody saw it"
        elif ids != {ack.id}:
            seen = " and ".join(map(str, sorted(ids)))
            yield f"{ack.ref} was acknowledged as {ack.id}, and came as {seen}"


def _strayed(facts: Facts) -> Iterator[str]:
    for sighting in facts.sightings:
        seen, reader = sighting.seen, sighting.reader
        if facts.authors.get(seen.ref) != seen.author:
            yield f"{seen.ref} came to {reader} from {seen.author}, who never sent it"
        elif reader not in facts.readers(seen.ref):
            yield f"{seen.ref} came to {reader}, whom it is not for"
        elif seen.is_direct != (facts.recipients[seen.ref] is not None):
            to = "one" if seen.is_direct else "all"
            yield f"{seen.ref} came to {reader} as a message to {to}"


def _open(facts: Facts) -> Iterator[str]:
    for ref, author in facts.authors.items():
        if ref not in facts.acked:
            yield f"{author} sent {ref} and never got an acknowledgement"
