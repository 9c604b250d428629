"""Metrics: integer counters of what one daemon has done since it started.

The composition root creates one `Metrics` and hands it to whoever counts, the way it hands out the
clock. Everyone counts once per batch, never per message: a counter must not cost what it measures.
"""

from chatd.messagelog.base import LogMetrics


class Metrics(LogMetrics):
    """Counters that only grow; one object for the whole daemon, used on the loop's thread alone."""

    connections: int = 0
    """Connections accepted, those that were refused included."""
    connections_refused: int = 0
    """Connections closed at once: the server was full or shutting down."""
    messages_received: int = 0
    """Messages from clients, and lines that were no message."""
    bytes_sent: int = 0
    """Bytes handed to the kernel, or to the transport where the kernel takes no more."""

    def summary(self) -> str:
        """Return the totals as one line for the log."""
        return (
            f"connections {self.connections} (refused {self.connections_refused}), "
            f"messages received {self.messages_received}, "
            f"stored {self.messages_committed} (not stored {self.messages_failed}), "
            f"commits {self.commits}, bytes sent {self.bytes_sent}"
        )
