"""The tracker of file sharing: the members of each group and their addresses; no file data."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import UNSET, Struct, field

from chatd.config import ShareConfig
from chatd.core.router import Route, route
from chatd.core.session import Session
from common.messages.base import Error, Message, Reason, RejectedError
from common.messages.groups import (
    PeerEntry,
    PeerJoined,
    PeerLeft,
    PeerList,
    Peers,
    Share,
    check_group,
)
from common.names import check_id, fold, suggestions

logger: Final = logging.getLogger(__name__)


class _Member(Struct, frozen=True):
    """The membership of one session in a group."""

    session: Session
    group: str
    peer: PeerEntry
    wants_presence: bool


class _Group(Struct):
    """The members of one group, by the key of their id, and the secret that they share."""

    secret: str
    members: dict[str, _Member] = field(default_factory=dict)


class GroupDirectory:
    """The groups. A member leaves with its connection, a group ends with its last member."""

    def __init__(self, config: ShareConfig, make_secret: Callable[[], str]) -> None:
        self._config = config
        self._make_secret = make_secret
        self._groups: dict[str, _Group] = {}
        self._members: dict[Session, _Member] = {}

    @property
    def routes(self) -> Sequence[Route]:
        """The messages it serves."""
        return (route(Share, self.share), route(Peers, self.peers))

    def share(self, session: Session, message: Share) -> None:
        """Join a group, and leave the earlier one."""
        self._check(session, message)
        self._leave(session)
        peer = PeerEntry(message.id, session.host, message.port, message.size, message.digest)
        member = _Member(session, message.group, peer, message.presence)
        group = self._groups.get(message.group)
        if group is None:
            group = self._groups[message.group] = _Group(self._make_secret())
        _notify(group.members.values(), PeerJoined(message.group, peer))
        group.members[fold(peer.id)] = self._members[session] = member
        logger.info("%s: shares %d bytes in %s as %s", session, peer.size, member.group, peer.id)
        if message.ref is not UNSET:
            self.peers(session, Peers(message.group, message.ref))

    def peers(self, session: Session, message: Peers) -> None:
        """Answer with the members of a group; only a member also gets the secret."""
        group = self._groups.get(message.group, _Group(""))
        own_member = self._members.get(session)
        secret = (
            group.secret if own_member is not None and own_member.group == message.group else UNSET
        )
        listed = [member.peer for member in group.members.values()]
        session.send_large(PeerList(message.group, listed, secret, message.ref))

    def closed(self, session: Session) -> None:
        """Forget the member of a session that is gone."""
        self._leave(session)

    def _check(self, session: Session, message: Share) -> None:
        try:
            check_id(message.id)
            check_group(message.group)
        except ValueError as error:
            raise _refusal(message, "bad_field", f"in share: {error}") from None
        group = self._groups.get(message.group)
        own_member = self._members.get(session)
        if group is None:
            if len(self._groups) >= self._config.max_groups:
                detail = f"all {self._config.max_groups} groups are in use; try again later"
                raise _refusal(message, "too_many_requests", detail)
            return
        other = group.members.get(fold(message.id))
        if other is not None and other is not own_member:
            raise _id_taken(message, group)
        is_member = own_member is not None and own_member.group == message.group
        if len(group.members) - is_member >= self._config.max_peers:
            detail = f"the group is full: it has {self._config.max_peers} peers"
            raise _refusal(message, "too_many_requests", detail)

    def _leave(self, session: Session) -> None:
        member = self._members.pop(session, None)
        if member is None:
            return
        group = self._groups[member.group]
        del group.members[fold(member.peer.id)]
        if not group.members:
            del self._groups[member.group]
        _notify(group.members.values(), PeerLeft(member.group, member.peer.id))


def _notify(members: Iterable[_Member], message: Message) -> None:
    for member in members:
        if member.wants_presence:
            member.session.send(message)


def _id_taken(message: Share, group: _Group) -> RejectedError:
    free = next(name for name in suggestions(message.id) if fold(name) not in group.members)
    detail = f"the id {message.id} is taken in this group; try {free}"
    error = Error("name_taken", detail, ref=message.ref, name=message.id, suggestion=free)
    return RejectedError(error)


def _refusal(message: Share, reason: Reason, detail: str) -> RejectedError:
    return RejectedError(Error(reason, detail, ref=message.ref))
