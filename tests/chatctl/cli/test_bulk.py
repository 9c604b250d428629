"""Many calls at once, bounded and in order."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chatctl.cli.bulk import for_each, send_lines
from chatctl.client.events import Receipt
from chatctl.errors import (
    CannotConnectError,
    PartialError,
    UsageError,
)


async def lines(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


async def test_receipts_are_reported_in_order() -> None:
    reported: list[Receipt] = []

    async def send(text: str) -> Receipt:
        return Receipt(int(text), 0.0)

    await send_lines(lines("1", "2", " ", "", "3"), send, reported.append)

    assert [receipt.id for receipt in reported] == [1, 2, 3]


async def test_sending_does_not_wait_for_receipts_but_goes_not_far_ahead_of_them() -> None:
    release, is_far_ahead = asyncio.Event(), asyncio.Event()
    sent: list[str] = []

    async def send(text: str) -> Receipt:
        sent.append(text)
        if len(sent) == 256:
            is_far_ahead.set()
        await release.wait()
        return Receipt(1, 0.0)

    sending = asyncio.create_task(
        send_lines(lines(*map(str, range(1000))), send, lambda receipt: None)
    )
    await is_far_ahead.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(sent) == 256

    release.set()
    await sending
    assert sent == [str(number) for number in range(1000)]


async def test_a_failure_of_the_first_line_is_raised_as_it_is() -> None:
    async def send(text: str) -> Receipt:
        raise CannotConnectError("gone")

    with pytest.raises(CannotConnectError, match=r"^gone$"):
        await send_lines(lines("a", "b"), send, lambda receipt: None)


async def test_a_failure_behind_what_was_sent_names_the_line() -> None:
    async def send(text: str) -> Receipt:
        if text == "bad":
            raise CannotConnectError("gone")
        return Receipt(1, 0.0)

    with pytest.raises(PartialError, match=r"^line 4: gone; 2 sent before it$"):
        await send_lines(lines("a", "", "b", "bad", "c"), send, lambda receipt: None)


async def test_a_failure_waits_for_what_went_before_it() -> None:
    reported: list[Receipt] = []
    release = asyncio.Event()

    async def send(text: str) -> Receipt:
        if text == "bad":
            release.set()
            raise CannotConnectError("gone")
        await release.wait()
        return Receipt(1, 0.0)

    with pytest.raises(PartialError, match=r"^line 2: gone; 1 sent before it$"):
        await send_lines(lines("a", "bad"), send, reported.append)

    assert len(reported) == 1


async def test_a_failure_of_the_input_is_raised_as_it_is() -> None:
    async def send(text: str) -> Receipt:
        return Receipt(1, 0.0)

    async def broken() -> AsyncIterator[str]:
        yield "a"
        raise UsageError("not UTF-8")

    with pytest.raises(UsageError, match="not UTF-8"):
        await send_lines(broken(), send, lambda receipt: None)


async def test_no_more_calls_than_the_limit_run_at_once_and_all_end_before_it_returns() -> None:
    running = most_running = ended = 0

    async def call(text: str) -> None:
        nonlocal running, most_running, ended
        running += 1
        most_running = max(most_running, running)
        await asyncio.sleep(0)
        running -= 1
        ended += 1

    await for_each(lines(*map(str, range(10))), call, 3)

    assert (most_running, ended) == (3, 10)


async def test_the_first_error_of_a_call_cancels_the_others_and_is_raised_itself() -> None:
    cancelled = []

    async def call(text: str) -> None:
        if text == "bad":
            raise CannotConnectError("gone")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(text)
            raise

    with pytest.raises(CannotConnectError, match=r"^gone$"):
        await for_each(lines("a", "b", "bad"), call, 10)

    assert sorted(cancelled) == ["a", "b"]
