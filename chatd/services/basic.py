"""Echo and ping: open to anyone, to check that the server is alive."""

from collections.abc import Iterator, Sequence

from chatd.core.router import Route, batch_route, route
from chatd.core.session import Session
from common.messages.basic import Echo, Ping, Pong
from common.protocol.timestamps import format_time
from common.system.clock import Clock


class Basic:
    """Answers `echo` with the same and `ping` with `pong`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # The pings of one read share their times.
        self._read_ns = -1
        self._written = "", ""

    @property
    def routes(self) -> Sequence[Route]:
        """The messages it serves."""
        return (route(Echo, self.echo), batch_route(Ping, self.pings, single=self.ping))

    def echo(self, session: Session, message: Echo) -> None:
        """Send the same object back."""
        session.send(message)

    def ping(self, session: Session, ping: Ping) -> None:
        """Answer with the times at which the ping was read and answered."""
        received, sent = self._times(session)
        session.send_queue.send(Pong(received, sent, ping.ref))

    def pings(self, session: Session, pings: Iterator[Ping]) -> None:
        """Answer many pings at once."""
        received, sent = self._times(session)
        session.send_queue.send_all([Pong(received, sent, ping.ref) for ping in pings])

    def _times(self, session: Session) -> tuple[str, str]:
        if session.read_ns != self._read_ns:
            self._read_ns = session.read_ns
            self._written = format_time(session.read_ns), format_time(self._clock.wall_ns())
        return self._written

    def closed(self, session: Session) -> None:
        """Nothing is kept for a session."""
