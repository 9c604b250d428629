"""Chat: the list of users, direct messages and broadcasts, and the history."""

from collections.abc import Awaitable, Iterator, Sequence
from typing import Final

from msgspec import UNSET, structs

from chatd.core.accounts import Accounts
from chatd.core.formats import Format, v1_message
from chatd.core.presence import Presence
from chatd.core.router import Route, batch_route, route
from chatd.core.session import Access, Session
from chatd.messagelog.base import EVERYONE, Entry, Identity, MessageLog, NewMessage
from common import names
from common.messages.base import Error, RejectedError
from common.messages.chat import (
    History,
    HistoryPage,
    Incoming,
    IncomingBroadcast,
    Outgoing,
    OutgoingBroadcast,
    Users,
    Who,
)
from common.protocol import codec
from common.system.clock import Clock

_MAX_REF_BYTES: Final = 64
_MAX_PAGE_BYTES: Final = 256 * 1024
_PAGE_FRAME_BYTES: Final = 512
"""More than a page adds to its messages: its ref may take 6 bytes for each of 64 characters."""
_NEWEST: Final = 2**63 - 1


class Chat:
    """Appends messages to the log, which leads to their delivery, and reads the history."""

    def __init__(
        self, log: MessageLog[Session], presence: Presence, accounts: Accounts, clock: Clock
    ) -> None:
        self._log = log
        self._presence = presence
        self._accounts = accounts
        self._clock = clock

    @property
    def routes(self) -> Sequence[Route]:
        """The messages it serves."""
        return (
            route(Who, self.who, requires=Access.MEMBER),
            batch_route(Outgoing, self.directs, requires=Access.MEMBER),
            batch_route(OutgoingBroadcast, self.broadcasts, requires=Access.MEMBER),
            route(History, self.history),
        )

    def who(self, session: Session, message: Who) -> None:
        """Answer with the names of everyone online."""
        if message.ref is UNSET:
            session.send_queue.put(self._presence.encoded_names(session.send_queue.format))
        else:
            session.send_large(Users(self._presence.names(), message.ref))

    def broadcasts(self, session: Session, messages: Iterator[OutgoingBroadcast]) -> None:
        """Append messages for everyone else."""
        author, name, anonymous, sent_ns, since = self._message_fields(session)
        new_messages: list[NewMessage] = []
        try:
            for message in messages:
                content = message.content
                ref = None if message.ref is UNSET else _check_ref(message.ref, session)
                new_messages.append(
                    NewMessage(
                        author, name, content, sent_ns, since, EVERYONE, None, ref, anonymous
                    )
                )
        finally:
            self._append(new_messages, session)

    def directs(self, session: Session, messages: Iterator[Outgoing]) -> Awaitable[None] | None:
        """Append messages for one recipient each, who is online or owns a name."""
        author, name, anonymous, sent_ns, since = self._message_fields(session)
        find = self._presence.by_key
        new_messages: list[NewMessage] = []
        try:
            for message in messages:
                content = message.content
                ref = None if message.ref is UNSET else _check_ref(message.ref, session)
                # Most names are their own key, so the fast lookup comes first.
                to = find(message.to) or find(names.fold(message.to))
                if to is not None:
                    audience, recipient_name = to.audience, to.name
                else:
                    owner = self._accounts.find_cached(names.fold(message.to))
                    if owner is None:
                        return self._direct_to_absent(session, message, ref)
                    audience, recipient_name = Identity(owner), message.to
                new_messages.append(
                    NewMessage(
                        author,
                        name,
                        content,
                        sent_ns,
                        since,
                        audience,
                        recipient_name,
                        ref,
                        anonymous,
                    )
                )
        finally:
            self._append(new_messages, session)
        return None

    async def history(self, session: Session, message: History) -> None:
        """Answer with a page of older messages, of at most 256 KiB."""
        reader = await self._reader(session, message)
        before = _NEWEST if message.before is UNSET else message.before
        excerpt = await self._log.history(reader, before, message.limit)
        messages = _fit_page([_history_message(entry) for entry in excerpt.entries])
        more = excerpt.more or len(messages) < len(excerpt.entries)
        session.send_large(HistoryPage(messages, more, message.ref))

    def closed(self, session: Session) -> None:
        """Nothing is kept for a session."""

    async def _reader(self, session: Session, message: History) -> int:
        """Return the identity whose history it is: the session's, or that of a name and its token.

        A name and its token need no hello, and leave the name to a session that uses it.
        """
        name, token, ref = message.name, message.token, message.ref
        if name is not UNSET and token is not UNSET:
            owner = await self._accounts.authenticate(names.fold(name), token)
            if owner is None:
                detail = "the name is unknown, or the token is not its owner's"
                raise RejectedError(Error("unauthorized", detail, ref=ref, name=name))
            return owner
        if name is not UNSET or token is not UNSET:
            detail = "in history: name and token belong together; give both or neither"
            raise RejectedError(Error("bad_field", detail, ref=ref))
        if not session.is_registered:
            detail = 'say {"code":"hello","name":"…"} before history, or give it a name and a token'
            raise RejectedError(Error("hello_required", detail, ref=ref))
        if session.send_queue.format is not Format.V1:
            detail = 'history needs version 1: say hello with "version":1'
            raise RejectedError(Error("unsupported", detail, ref=ref))
        return session.identity

    async def _direct_to_absent(self, session: Session, message: Outgoing, ref: str | None) -> None:
        owner = await self._accounts.find(names.fold(message.to))
        if owner is None:
            name = message.to[: names.MAX_LENGTH]
            detail = f'nobody called "{name}" is known here; `who` lists who is present'
            raise RejectedError(Error("no_such_user", detail, ref=message.ref, to=message.to))
        author, name, anonymous, sent_ns, since = self._message_fields(session)
        content, to = message.content, message.to
        new_message = NewMessage(
            author, name, content, sent_ns, since, Identity(owner), to, ref, anonymous
        )
        self._append([new_message], session)

    def _message_fields(self, session: Session) -> tuple[int, str, bool, int, int]:
        """Return what all messages have in common that a session sends now: author and time."""
        since = round(self._clock.monotonic() - session.connected_at)
        return session.identity, session.name, session.is_anonymous, self._clock.wall_ns(), since

    def _append(self, new_messages: Sequence[NewMessage], session: Session) -> None:
        if new_messages:
            session.inflight.add(len(new_messages))
            self._log.append(new_messages, session)


def _check_ref(ref: str, session: Session) -> str | None:
    """Return the ref that is to be acknowledged; only version 1 knows that."""
    if session.send_queue.format is not Format.V1:
        return None
    if len(ref.encode()) > _MAX_REF_BYTES:
        raise RejectedError(Error("bad_field", f"a ref may have at most {_MAX_REF_BYTES} bytes"))
    return ref


def _history_message(entry: Entry) -> Incoming | IncomingBroadcast:
    message, to = v1_message(entry), entry.message.to
    if isinstance(message, Incoming) and to is not None:
        return structs.replace(message, to=to)
    return message


def _fit_page(
    messages: list[Incoming | IncomingBroadcast],
) -> list[Incoming | IncomingBroadcast]:
    """Return the newest of `messages` that go on one page; at least one."""
    size = _PAGE_FRAME_BYTES
    for number, message in enumerate(reversed(messages)):
        size += len(codec.encode(message))
        if number and size > _MAX_PAGE_BYTES:
            return messages[-number:]
    return messages
