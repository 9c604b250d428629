"""What was asked and not answered yet, in the order in which it was asked."""

import asyncio
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from common.messages.base import Message

Key: TypeAlias = Hashable
"""What a question and its answer have in common, such as a `ref`."""


class Question:
    """A message that waits for its answer; times are ns."""

    __slots__ = ("answer", "answered_at", "answered_wall", "asked_at", "line", "written_wall")

    def __init__(self, line: bytes) -> None:
        self.line = line
        self.answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.asked_at = time.perf_counter_ns()
        self.written_wall = 0
        self.answered_at = 0
        self.answered_wall = 0

    @property
    def round_trip(self) -> float:
        """From the question to the answer, in s, lost connections and all."""
        return (self.answered_at - self.asked_at) / 1e9


class Questions:
    """Finds the question that an answer belongs to; a plain table, no sockets."""

    def __init__(self) -> None:
        self._open: dict[Key, Question] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Question]:
        return (question for question in self._open.values() if not question.answer.done())

    def __contains__(self, key: Key) -> bool:
        return key in self._open

    @contextmanager
    def opened(self, key: Key, line: bytes) -> Iterator[Question]:
        """Hold a question open for as long as somebody waits for its answer."""
        question = self._open[key] = Question(line)
        try:
            yield question
        finally:
            del self._open[key]

    def answer(self, key: Key, answer: Message | Exception) -> bool:
        """Give an answer to the question with this key; return whether there is one."""
        question = self._open.get(key)
        if question is None:
            return False
        _settle(question, answer)
        return True

    def fail(self, failure: Exception) -> None:
        """Give up all questions."""
        for question in self._open.values():
            _settle(question, failure)


def _settle(question: Question, answer: Message | Exception) -> None:
    if question.answer.done():
        return
    question.answered_at = time.perf_counter_ns()
    question.answered_wall = time.time_ns()
    if isinstance(answer, Exception):
        question.answer.set_exception(answer)
    else:
        question.answer.set_result(answer)
