"""A stream of requests, its results and its summary, without a server."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from chatctl.client import Answer, AnswerTimeoutError, RefusedError
from chatctl.commands.request import RequestResult, RequestSummary, send_requests
from chatctl.errors import CannotConnectError, Exit
from common.messages.base import Error


async def stream(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


async def test_a_stream_reports_each_result_as_it_comes_and_goes_on_after_failures() -> None:
    release = asyncio.Event()
    results: list[RequestResult] = []
    summary = RequestSummary()

    async def request(text: str) -> Answer:
        if text == "bad":
            raise RefusedError(Error("line_too_long", "too long"))
        if text == "slow":
            await release.wait()
        release.set()
        return Answer({"Hub": {"id": text}}, 0.25)

    await send_requests(stream("slow", "bad", "quick"), request, results.append, summary, 10)

    assert [json.loads(result.to_json()) for result in results] == [
        {"seq": 2, "request": "bad", "error": "line_too_long", "detail": "too long"},
        {"seq": 3, "request": "quick", "response": {"Hub": {"id": "quick"}}, "wait_ms": 250.0},
        {"seq": 1, "request": "slow", "response": {"Hub": {"id": "slow"}}, "wait_ms": 250.0},
    ]
    assert [str(result) for result in results] == [
        "seq=2: too long",
        'seq=3 wait=0.250 s {"Hub":{"id":"quick"}}',
        'seq=1 wait=0.250 s {"Hub":{"id":"slow"}}',
    ]
    assert str(summary) == ("3 sent, 2 answered, 1 failed, wait min/mean/max = 0.250/0.250/0.250 s")
    assert summary.exit_code == Exit.PARTIAL


async def test_a_stream_is_read_no_faster_than_it_is_answered() -> None:
    read: list[str] = []
    release = asyncio.Semaphore(0)

    async def texts() -> AsyncIterator[str]:
        for number in range(100):
            read.append(str(number))
            yield str(number)

    async def request(text: str) -> Answer:
        await release.acquire()
        return Answer({}, 0.0)

    summary = RequestSummary()
    sending = asyncio.create_task(
        send_requests(texts(), request, lambda result: None, summary, concurrency=10)
    )
    for answered in range(90):
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(read) == answered + 11  # ten are on their way and one waits for a permit
        release.release()
    for _ in range(10):
        release.release()
    await sending
    assert (summary.sent, summary.answered) == (100, 100)


async def test_what_ends_the_connection_ends_the_stream() -> None:
    async def request(text: str) -> Answer:
        raise CannotConnectError("gone")

    with pytest.raises(CannotConnectError, match=r"^gone$"):
        await send_requests(stream("a", "b"), request, lambda result: None, RequestSummary(), 10)


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([], Exit.OK),
        ([AnswerTimeoutError("late")], Exit.TIMEOUT),
        ([RefusedError(Error("line_too_long", "too long"))], Exit.REFUSED),
    ],
)
def test_where_none_was_answered_the_code_says_why(
    errors: list[RefusedError | AnswerTimeoutError], code: Exit
) -> None:
    summary = RequestSummary()
    for error in errors:
        summary.sent += 1
        summary.add_error(error)
    assert summary.exit_code == code
    assert "wait" not in str(summary)


def test_an_answer_that_would_move_the_cursor_is_shown_escaped() -> None:
    answer = Answer({"Hub": {"name": "a\x1b[2J\u202eb"}}, 1.0)
    shown = str(RequestResult.answered(1, "", answer))
    assert shown.isprintable()
    assert "\\u202e" in shown
