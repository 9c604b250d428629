"""Presence: who is online, under which name, and who gets what the log commits."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from chatd.core.formats import FORMATS, Format
from chatd.core.send_queue import EncodedChunk
from chatd.core.session import Session
from chatd.messagelog.base import Identity
from common.messages.chat import Users


class Presence:
    """The registered sessions, in the order in which they joined."""

    def __init__(self) -> None:
        self._sessions_by_key: dict[str, Session] = {}
        self._sessions_by_identity: dict[int, Session] = {}
        # Dictionaries as ordered sets: sessions are served in the order in which they joined.
        self._live: dict[Format, dict[Session, None]] = {wire_format: {} for wire_format in FORMATS}
        self._watchers: dict[Session, None] = {}
        self._encoded_users: dict[Format, EncodedChunk] = {}
        self.by_key: Callable[[str], Session | None] = self._sessions_by_key.get
        """Returns the session with the name of this key (`common.names.key`)."""
        self.by_identity: Callable[[int], Session | None] = self._sessions_by_identity.get
        """Returns the session of this identity."""

    def __len__(self) -> int:
        return len(self._sessions_by_key)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions_by_key.values())

    @property
    def live(self) -> Mapping[Format, Iterable[Session]]:
        """The sessions that get deliveries, by format."""
        return self._live

    @property
    def watchers(self) -> Iterable[Session]:
        """The sessions that asked for presence events."""
        return self._watchers

    def join(self, session: Session) -> None:
        """Add a session that has a name and an identity; it is not live yet."""
        session.audience = Identity(session.identity)
        self._sessions_by_key[session.key] = session
        self._sessions_by_identity[session.identity] = session
        if session.wants_presence:
            self._watchers[session] = None
        self._encoded_users.clear()

    def start_live(self, session: Session) -> None:
        """Deliver to this session from the next commit on."""
        session.is_live = True
        self._live[session.send_queue.format][session] = None

    def leave(self, session: Session) -> bool:
        """Remove a session; return whether it was present."""
        if self._sessions_by_key.get(session.key) is not session:
            return False
        del self._sessions_by_key[session.key]
        del self._sessions_by_identity[session.identity]
        self._live[session.send_queue.format].pop(session, None)
        self._watchers.pop(session, None)
        session.is_live = False
        self._encoded_users.clear()
        return True

    def names(self) -> list[str]:
        """Return the names of those present."""
        return [session.name for session in self]

    def encoded_names(self, wire_format: Format) -> EncodedChunk:
        """Return the `users` message, encoded once for all requests between two changes."""
        chunk = self._encoded_users.get(wire_format)
        if chunk is None:
            chunk = self._encoded_users[wire_format] = EncodedChunk(
                wire_format.encode([Users(self.names())])
            )
        return chunk
