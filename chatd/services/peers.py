"""Introductions: who shares files in which group, and where to reach them; no byte of a file."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import UNSET, Struct, field

from chatd.routes import Route, route
from chatd.session import Session
from common.exchange import check_id
from common.messages.base import Error, Message, Reason, Refusal
from common.messages.peers import (
    PeerEntry,
    PeerJoined,
    PeerLeft,
    PeerList,
    Peers,
    Share,
    check_group,
)
from common.names import key, variants

logger: Final = logging.getLogger(__name__)


class Terms(Struct, frozen=True):
    """How many groups there may be, and how many peers in each."""

    max_groups: int
    max_peers: int


class _Entry(Struct, frozen=True):
    """Where one session has entered."""

    session: Session
    group: str
    peer: PeerEntry
    wants_presence: bool


class _Group(Struct):
    """Those who share under one name; `entries` are found by the key of their id."""

    ticket: str
    entries: dict[str, _Entry] = field(default_factory=dict)


class Introductions:
    """The directory of groups. An entry dies with its connection, a group with its last entry."""

    def __init__(self, terms: Terms, make_ticket: Callable[[], str]) -> None:
        self._terms = terms
        self._make_ticket = make_ticket
        self._groups: dict[str, _Group] = {}
        self._entries: dict[Session, _Entry] = {}

    @property
    def routes(self) -> Sequence[Route]:
        """The messages it serves."""
        return (route(Share, self.share), route(Peers, self.peers))

    def share(self, session: Session, message: Share) -> None:
        """Enter a group, and leave the one from before."""
        self._check(session, message)
        self._leave(session)
        peer = PeerEntry(message.id, session.host, message.port, message.size, message.digest)
        entry = _Entry(session, message.group, peer, message.presence)
        group = self._groups.get(message.group)
        if group is None:
            group = self._groups[message.group] = _Group(self._make_ticket())
        _tell(group.entries.values(), PeerJoined(message.group, peer))
        group.entries[key(peer.id)] = self._entries[session] = entry
        logger.info("%s: shares %d bytes in %s as %s", session, peer.size, entry.group, peer.id)
        if message.ref is not UNSET:
            self.peers(session, Peers(message.group, message.ref))

    def peers(self, session: Session, message: Peers) -> None:
        """Tell who is in a group; its ticket only to those who are in it themselves."""
        group = self._groups.get(message.group, _Group(""))
        own = self._entries.get(session)
        ticket = group.ticket if own is not None and own.group == message.group else UNSET
        listed = [entry.peer for entry in group.entries.values()]
        session.send_long(PeerList(message.group, listed, ticket, message.ref))

    def closed(self, session: Session) -> None:
        """Forget the entry of a session that is gone."""
        self._leave(session)

    def _check(self, session: Session, message: Share) -> None:
        try:
            check_id(message.id)
            check_group(message.group)
        except ValueError as fault:
            raise _refused(message, "bad_field", f"in share: {fault}") from None
        group = self._groups.get(message.group)
        own = self._entries.get(session)
        if group is None:
            if len(self._groups) >= self._terms.max_groups:
                detail = f"all {self._terms.max_groups} groups are taken; try again later"
                raise _refused(message, "too_many_requests", detail)
            return
        holder = group.entries.get(key(message.id))
        if holder is not None and holder is not own:
            raise _taken(message, group)
        is_inside = own is not None and own.group == message.group
        if len(group.entries) - is_inside >= self._terms.max_peers:
            detail = f"the group has {self._terms.max_peers} peers, no more are allowed"
            raise _refused(message, "too_many_requests", detail)

    def _leave(self, session: Session) -> None:
        entry = self._entries.pop(session, None)
        if entry is None:
            return
        group = self._groups[entry.group]
        del group.entries[key(entry.peer.id)]
        if not group.entries:
            del self._groups[entry.group]
        _tell(group.entries.values(), PeerLeft(entry.group, entry.peer.id))


def _tell(entries: Iterable[_Entry], message: Message) -> None:
    for entry in entries:
        if entry.wants_presence:
            entry.session.send(message)


def _taken(message: Share, group: _Group) -> Refusal:
    free = next(name for name in variants(message.id) if key(name) not in group.entries)
    detail = f"{message.id} is another peer of this group; use {free}"
    error = Error("name_taken", detail, ref=message.ref, name=message.id, suggestion=free)
    return Refusal(error)


def _refused(message: Share, reason: Reason, detail: str) -> Refusal:
    return Refusal(Error(reason, detail, ref=message.ref))
