"""What was asked and not answered yet, in the order in which it was asked."""

import asyncio
import time
from collections.abc import Hashable, Iterator
from typing import TypeAlias

from common.messages.base import Message

Key: TypeAlias = Hashable
"""What a question and its answer have in common, such as a `ref`."""


class Question:
    """A message that waits for its answer; all times are in ns, those of `_wall` since the epoch.

    It is `asked` once, and `written` for each link until it is `answered`.
    """

    __slots__ = ("_line", "answer", "answered", "answered_wall", "asked", "written", "written_wall")

    def __init__(self, line: bytes) -> None:
        self._line = line
        self.answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.asked = self.written = self.answered = time.perf_counter_ns()
        self.written_wall = self.answered_wall = time.time_ns()

    @property
    def wait(self) -> float:
        """How long (s) the answer took."""
        return (self.answered - self.asked) / 1e9

    def write(self) -> bytes:
        """Return what goes over the wire, and note that it does so now."""
        self.written_wall = time.time_ns()
        self.written = time.perf_counter_ns()
        return self._line

    def settle(self, answer: Message | Exception) -> None:
        """Take the answer, unless nobody waits for it any more."""
        if self.answer.done():
            return
        self.answered = time.perf_counter_ns()
        self.answered_wall = time.time_ns()
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
            self.answer.exception()  # it may be that nobody waits for it any more
        else:
            self.answer.set_result(answer)


class Questions:
    """Finds the question that an answer belongs to; a plain table, no sockets."""

    def __init__(self) -> None:
        self._open: dict[Key, Question] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Question]:
        return iter(self._open.values())

    def __contains__(self, key: Key) -> bool:
        return key in self._open

    def open(self, key: Key, line: bytes) -> Question:
        """Hold a question open until it is answered or closed."""
        question = self._open[key] = Question(line)
        return question

    def close(self, key: Key) -> None:
        """Give up a question; its answer, if it comes, is ignored."""
        self._open.pop(key, None)

    def answer(self, key: Key, answer: Message | Exception) -> bool:
        """Give an answer to the question with this key; return whether there is one."""
        question = self._open.pop(key, None)
        if question is None:
            return False
        question.settle(answer)
        return True

    def fail(self, error: Exception) -> None:
        """Give up all questions."""
        for key in list(self._open):
            self.answer(key, error)
