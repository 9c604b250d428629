"""One write per connection and turn of the event loop, however much is queued meanwhile."""

import logging
from collections.abc import Callable
from typing import Final

from chatd.outbox import Outbox

logger: Final = logging.getLogger(__name__)


class Turn:
    """Collects the outboxes that have something to write and flushes them all at once.

    `defer` runs a function after the current turn of the event loop.
    """

    def __init__(self, defer: Callable[[Callable[[], None]], object]) -> None:
        self._defer = defer
        self._awake: list[Outbox] = []

    def wake(self, outbox: Outbox) -> None:
        """Have `outbox` flushed at the end of this turn."""
        if not self._awake:
            self._defer(self._flush)
        self._awake.append(outbox)

    def _flush(self) -> None:
        awake, self._awake = self._awake, []
        for outbox in awake:
            outbox.is_awake = False
            try:
                outbox.flush()
            except Exception:
                logger.exception("an outbox could not be flushed")
