"""When a peer is done, or gives up; the time is handed in (s, monotonic)."""

from enum import Enum
from typing import Final

from msgspec import Struct

STALL: Final = 30.0
"""After how long (s) without a piece moving nothing is expected any more."""


class Terms(Struct, frozen=True):
    """What was asked for; times in s.

    `peers` are expected, this one included, None for whoever comes. `wait` is for those who are to
    come, or to come back; `seed_after` is for others, once everything is here; after `stall`
    without a piece moving nothing is expected any more.
    """

    peers: int | None
    wait: float
    seed_after: float = 0.0
    stall: float = STALL


class Standing(Struct):
    """How it stands. Times are moments (s), `completed_at` None while something is missing.

    `members` have been met, this peer included; `awaited` manifests are still to come from those
    who are linked. `is_needed` while a linked peer lacks pieces, `is_stranded` when no linked peer
    has what is missing here.
    """

    began_at: float
    members: int
    awaited: int
    completed_at: float | None
    is_needed: bool
    is_stranded: bool
    changed_at: float
    moved_at: float


class Verdict(Enum):
    """What is to be done."""

    GO_ON = "go on"
    DONE = "done"
    GIVE_UP = "give up"


def judge(terms: Terms, now: Standing, at: float) -> Verdict:
    """Return what is to be done at the moment `at`."""
    has_waited = at - now.began_at >= terms.wait
    is_whole = now.members >= terms.peers if terms.peers is not None else has_waited
    if not is_whole and not has_waited:
        return Verdict.GO_ON
    is_still = at - max(now.moved_at, now.changed_at) >= terms.stall
    if now.completed_at is not None and not now.awaited:
        if now.is_needed and not is_still:
            return Verdict.GO_ON
        return Verdict.DONE if at - now.completed_at >= terms.seed_after else Verdict.GO_ON
    if now.is_stranded and not now.awaited and at - now.changed_at >= terms.wait:
        return Verdict.GIVE_UP
    return Verdict.GIVE_UP if is_still else Verdict.GO_ON
