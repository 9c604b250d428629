"""One write per connection and loop iteration, however much is queued meanwhile."""

import logging
import os
from collections.abc import Callable
from typing import Final

from chatd.core.send_queue import SendQueue

logger: Final = logging.getLogger(__name__)

MAX_WRITE: Final = 256 * 1024
"""Bytes that one write takes, about."""

_FAILED: Final = "a send queue could not be flushed"


class WriteBatcher:
    """Collects the send queues that have something to write and flushes them all at once.

    `call_soon` runs a function after the current loop iteration. `write` hands bytes to the
    kernel: given a descriptor, it returns how many were taken or raises OSError.
    """

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        write: Callable[[int, bytes], int] = os.write,
    ) -> None:
        self._call_soon = call_soon
        self._write = write
        self._scheduled: list[SendQueue] = []
        self.schedule: Callable[[SendQueue], None] = self._schedule
        """Has a send queue flushed at the end of this loop iteration; all send queues share it."""

    def _schedule(self, send_queue: SendQueue) -> None:
        if not self._scheduled:
            self._call_soon(self.flush)
        self._scheduled.append(send_queue)

    def flush(self) -> None:
        """Write what is queued now, and do not wait for the end of the loop iteration.

        Nearly always one write takes all that a connection has. So first it is taken from
        everywhere, then it is written everywhere: a broadcast to 1,000 took a quarter less time
        when the CPU no longer went from Python to the kernel by way of the transport for each.
        """
        scheduled, self._scheduled = self._scheduled, []
        taken, unfinished = [], []
        for send_queue in scheduled:
            send_queue.is_scheduled = False
            descriptor = send_queue.descriptor
            if descriptor is None or send_queue.is_blocked or send_queue.on_drained is not None:
                unfinished.append((send_queue, b""))
                continue
            try:
                if encoded := send_queue.take(MAX_WRITE):
                    taken.append((descriptor, encoded, send_queue))
            except Exception:
                logger.exception(_FAILED)
        write = self._write
        for descriptor, encoded, send_queue in taken:
            try:
                written = write(descriptor, encoded)
            except OSError:
                written = 0
            if written != len(encoded) or send_queue.size:
                unfinished.append((send_queue, encoded[written:]))
        for send_queue, remainder in unfinished:
            _finish(send_queue, remainder)


def _finish(send_queue: SendQueue, remainder: bytes) -> None:
    """Have the transport wait until the kernel takes `remainder`, or find out what is wrong."""
    try:
        if remainder:
            send_queue.write(remainder)
        send_queue.flush()
    except Exception:
        logger.exception(_FAILED)
