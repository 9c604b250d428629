"""Hello and quit: registration, the replay of missed messages, and presence announcements."""

from collections.abc import Awaitable, Sequence

from msgspec import UNSET, UnsetType, structs

from chatd.core.accounts import Accounts, NameReservedError, new_identity
from chatd.core.fanout import Fanout
from chatd.core.formats import Format
from chatd.core.presence import Presence
from chatd.core.router import Route, route
from chatd.core.send_queue import EncodedChunk
from chatd.core.session import Access, Session
from chatd.messagelog.base import Entry, MessageLog
from common import names
from common.messages.base import Error, Message, Reason, RejectedError
from common.messages.chat import VERSION, Gap, Hello, Joined, Left, Quit, Resumed, Welcome


class Registration:
    """Registers sessions under their names.

    `limits` is a welcome with everything that the server announces to clients of version 1.
    """

    def __init__(
        self,
        log: MessageLog[Session],
        presence: Presence,
        fanout: Fanout,
        accounts: Accounts,
        limits: Welcome,
    ) -> None:
        self._log = log
        self._presence = presence
        self._fanout = fanout
        self._accounts = accounts
        self._limits = limits
        self._guest_count = 0

    @property
    def routes(self) -> Sequence[Route]:
        """The messages it serves."""
        return (route(Hello, self.hello), route(Quit, self.quit))

    async def hello(self, session: Session, message: Hello) -> None:
        """Register the session under a name, and replay what it missed if it asks for that."""
        if session.is_registered:
            raise RejectedError(
                Error(
                    "hello_repeated",
                    f"you are already {session.name}; reconnect to change your name",
                )
            )
        wire_format = _requested_format(message)
        name = await self._choose_name(message, wire_format)
        identity, token = await self._claim(name, message, wire_format)
        if session.is_closing:
            return
        is_replacement = self._evict(name, identity)
        session.name, session.key, session.identity = name, names.fold(name), identity
        session.access = Access.MEMBER
        session.is_anonymous = message.name is UNSET
        session.wants_presence = message.presence
        session.send_queue.set_format(wire_format)
        self._presence.join(session)
        translated = self._translate_after(message)
        session.send(
            self._welcome(name, token, translated) if wire_format is Format.V1 else Welcome()
        )
        if not is_replacement:
            self._announce(Joined(name), except_for=session)
        if message.after is not UNSET:
            after = message.after if translated is UNSET else translated
            await self._replay(session, after, gap=translated is not UNSET)
        else:
            self._presence.start_live(session)

    def quit(self, session: Session, _message: Quit) -> Awaitable[None] | None:
        """Close the session after its earlier messages are in the log and acknowledged."""
        if session.inflight.count:
            return self._quit_when_logged(session)
        session.close("quit")
        return None

    def closed(self, session: Session) -> None:
        """Free the name; its owner may return to it."""
        if self._presence.leave(session):
            self._accounts.record_seen(session.key, session.identity)
            self._announce(Left(session.name), except_for=session)

    def record_presence(self) -> None:
        """Note who is online; called at intervals, so that a crash shortens no reservation."""
        for session in self._presence:
            self._accounts.record_seen(session.key, session.identity)

    async def _quit_when_logged(self, session: Session) -> None:
        await session.inflight.wait_below(1)
        session.close("quit")

    async def _choose_name(self, message: Hello, wire_format: Format) -> str:
        if message.name is not UNSET:
            try:
                return names.normalize(message.name)
            except names.InvalidNameError as error:
                raise RejectedError(Error("bad_name", str(error), name=message.name)) from None
        if wire_format is not Format.TEXT:
            detail = 'in hello: a name is missing; say {"code":"hello","name":"…"}'
            raise RejectedError(Error("bad_field", detail))
        while True:
            self._guest_count += 1
            name = f"guest-{self._guest_count}"
            if await self._is_free(names.fold(name)):
                return name

    async def _claim(
        self, name: str, message: Hello, wire_format: Format
    ) -> tuple[int, str | None]:
        """Return the identity under which this session may use `name`, and its token if any."""
        key = names.fold(name)
        token = None if message.token is UNSET else message.token
        present = self._presence.by_key(key)
        if present is not None and (
            token is None or await self._accounts.find(key) != present.identity
        ):
            raise await self._name_taken(name, "name_taken", f"the name {name} is in use")
        try:
            if wire_format is Format.V1 or token is not None:
                return await self._accounts.claim(name, token, is_online=present is not None)
        except NameReservedError as error:
            raise await self._name_taken(name, error.reason, str(error)) from None
        if await self._accounts.is_reserved(key):
            raise await self._name_taken(
                name, "name_taken", f"the name {name} is reserved by someone else"
            )
        return new_identity(), None

    def _evict(self, name: str, identity: int) -> bool:
        """Close the session of the same identity on another connection; return if there was one."""
        present = self._presence.by_key(names.fold(name))
        if present is None:
            return False
        if present.identity != identity:
            # Another session registered the name meanwhile.
            raise RejectedError(Error("name_taken", f"the name {name} is in use", name=name))
        self._presence.leave(present)
        detail = "you logged in on another connection, which has the name now"
        present.close("replaced", Error("replaced", detail, name=name))
        return True

    async def _name_taken(self, name: str, reason: Reason, detail: str) -> RejectedError:
        for suggestion in names.suggestions(name):
            if await self._is_free(names.fold(suggestion)):
                break
        detail = f"{detail}; try another, for example {suggestion}"
        return RejectedError(Error(reason, detail, name=name, suggestion=suggestion))

    async def _is_free(self, key: str) -> bool:
        return self._presence.by_key(key) is None and not await self._accounts.is_reserved(key)

    def _translate_after(self, message: Hello) -> int | UnsetType:
        """Return the id of this log after which a client of an earlier log continues."""
        if message.after is UNSET or message.log is UNSET or message.log == self._log.name:
            return UNSET
        return min(message.after, self._log.earlier_epochs.get(message.log, 0))

    def _welcome(self, name: str, token: str | None, translated: int | UnsetType) -> Welcome:
        return structs.replace(
            self._limits,
            version=VERSION,
            name=name,
            token=UNSET if token is None else token,
            log=self._log.name,
            last=self._fanout.last,
            after=translated,
        )

    async def _replay(self, session: Session, after: int, *, gap: bool) -> None:
        """Send what the log holds for the session, then deliver live, without gap or duplicate.

        `gap` says that messages before the first one are missing. A gap is reported before what
        follows it, so that a client that loses its connection meanwhile continues after the gap.
        Commits go on during the replay and are read from the log too. When all are read, the
        session goes live in the same loop iteration.
        """
        position, count = after, 0
        gap = gap or after > self._fanout.last
        while position < self._fanout.last:
            page = await self._log.replay(session.identity, position, self._fanout.last)
            entries, oldest = page.entries, self._log.first
            # The log may delete meanwhile what was still to be read, and what just was.
            if position < oldest - 1:
                gap = True
                session.send(Gap(oldest))
                entries = [entry for entry in entries if entry.id >= oldest]
            await _deliver(session, entries)
            if session.is_closing:
                return
            count += len(entries)
            position = page.position
        self._presence.start_live(session)
        first = self._log.first if gap else UNSET
        session.send(Resumed(count, self._fanout.last, gap, first))

    def _announce(self, message: Message, except_for: Session) -> None:
        for watcher in self._presence.watchers:
            if watcher is not except_for:
                watcher.send(message)


async def _deliver(session: Session, entries: Sequence[Entry]) -> None:
    """Write `entries` as fast as the client reads, so that the queue stays short."""
    send_queue = session.send_queue
    for entry in entries:
        if send_queue.is_above_high_water:
            await session.drain()
        if session.is_closing:
            return
        send_queue.put(EncodedChunk(send_queue.format.encode_entries([entry]), entry.id))
    await session.drain()


def _requested_format(message: Hello) -> Format:
    if message.format == "text":
        return Format.TEXT
    if message.version:
        return Format.V1
    if message.token is not UNSET or message.after is not UNSET or message.presence:
        detail = 'in hello: token, after and presence belong to version 1; add "version":1'
        raise RejectedError(Error("bad_field", detail))
    return Format.LEGACY
