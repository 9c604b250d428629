"""Who is online, under which name, and who is to get what the log commits."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from chatd.dialects import DIALECTS, Dialect
from chatd.outbox import Part
from chatd.session import Session
from common.messages.chat import Users


class Roster:
    """The welcome sessions, in the order in which they came."""

    def __init__(self) -> None:
        self._by_key: dict[str, Session] = {}
        self._by_identity: dict[int, Session] = {}
        # Dictionaries, as ordered sets: everyone is served in the order of coming.
        self._live: dict[Dialect, dict[Session, None]] = {dialect: {} for dialect in DIALECTS}
        self._watchers: dict[Session, None] = {}
        self._lists: dict[Dialect, Part] = {}
        self.find: Callable[[str], Session | None] = self._by_key.get
        """Returns the session with the name of this key (`common.names.key`)."""
        self.of: Callable[[int], Session | None] = self._by_identity.get
        """Returns the session of this identity."""

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._by_key.values())

    @property
    def live(self) -> Mapping[Dialect, Iterable[Session]]:
        """Those who get deliveries, by dialect."""
        return self._live

    @property
    def watchers(self) -> Iterable[Session]:
        """Those who asked for presence."""
        return self._watchers

    def join(self, session: Session) -> None:
        """Take in a session that has a name and an identity; it is not live yet."""
        self._by_key[session.key] = session
        self._by_identity[session.identity] = session
        if session.wants_presence:
            self._watchers[session] = None
        self._lists.clear()

    def go_live(self, session: Session) -> None:
        """From the next commit on, deliver to this session."""
        session.is_live = True
        self._live[session.outbox.dialect][session] = None

    def leave(self, session: Session) -> bool:
        """Let go of a session; return whether it was here."""
        if self._by_key.get(session.key) is not session:
            return False
        del self._by_key[session.key]
        del self._by_identity[session.identity]
        self._live[session.outbox.dialect].pop(session, None)
        self._watchers.pop(session, None)
        session.is_live = False
        self._lists.clear()
        return True

    def names(self) -> list[str]:
        """Return the names of those present."""
        return [session.name for session in self]

    def encoded_names(self, dialect: Dialect) -> Part:
        """Return the `users` message, encoded once for all who ask between two changes."""
        part = self._lists.get(dialect)
        if part is None:
            part = self._lists[dialect] = Part(dialect.encode([Users(self.names())]))
        return part
