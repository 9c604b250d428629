"""A coroutine begins at once and gets a task only where it has to wait: most never do."""

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Self


class Rest(Coroutine[Any, Any, None], Generator[Any, Any, None]):
    """What is left of the coroutine `work`, which waits for `awaited`: a coroutine for a task."""

    __slots__ = ("_awaited", "_is_begun", "_work")

    def __init__(self, work: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._work = work
        self._awaited = awaited
        self._is_begun = False

    def __await__(self) -> Self:
        """Return itself: all that a task is told comes from `send` and `throw`."""
        return self

    def send(self, value: Any) -> Any:
        """Return what is waited for first, then go on with the work."""
        if self._is_begun:
            return self._work.send(value)
        self._is_begun = True
        return self._awaited

    def throw(self, kind: Any, fault: Any = None, traceback: TracebackType | None = None) -> Any:
        """Go on with the failure of what was waited for, or with the end of the task."""
        return self._work.throw(kind if fault is None else fault)

    def close(self) -> None:
        """Give the work up."""
        self._work.close()


def start(work: Coroutine[Any, Any, None]) -> Rest | None:
    """Run `work` up to the first thing that it has to wait for; return what is left, if anything.

    Up to there it belongs to no task, so it must not ask for the current one, as `asyncio.timeout`
    does. From Python 3.12 on a task can do the same by itself (`eager_start`).
    """
    try:
        return Rest(work, work.send(None))
    except StopIteration:
        return None
