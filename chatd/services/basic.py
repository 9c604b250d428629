"""Echo and ping: open to anyone, and all that a stranger needs to see that the server lives."""

from collections.abc import Sequence

from chatd.clock import Clock
from chatd.routes import Route, route
from chatd.session import Session
from common.messages.basic import Echo, Ping, Pong
from common.timestamps import format_time


class Basic:
    """Answers `echo` with the same and `ping` with `pong`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Pings of one read share their times: formatting them costs more than all the rest.
        self._read_ns = -1
        self._received = ""
        self._sent = ""

    @property
    def routes(self) -> Sequence[Route]:
        """The messages it serves."""
        return (route(Echo, self.echo), route(Ping, self.ping))

    def echo(self, session: Session, message: Echo) -> None:
        """Send the same object back."""
        session.send(message)

    def ping(self, session: Session, message: Ping) -> None:
        """Tell when the ping was read and when it was answered."""
        if session.read_ns != self._read_ns:
            self._read_ns = session.read_ns
            self._received = format_time(session.read_ns)
            self._sent = format_time(self._clock.wall_ns())
        session.send(Pong(self._received, self._sent, message.ref))

    def closed(self, session: Session) -> None:
        """Nothing is kept for a session."""
