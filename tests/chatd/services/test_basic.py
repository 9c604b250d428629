"""Echo and ping, which need no hello."""

import pytest

from tests.support.service_harness import ServiceHarness


@pytest.mark.parametrize(
    "line",
    [
        '{"code":"echo","content":"Hello!"}',
        '{"code":"echo","content":{"deep":[1,2.50,null,{"ä":"\\u0000"}]}}',
        '{"code":"echo","content":null,"ref":"1"}',
        '{"code":"echo"}',
    ],
)
async def test_echo_sends_the_same_object_back(harness: ServiceHarness, line: str) -> None:
    client = harness.connect()
    await client.send_line(line)
    assert client.lines() == [line]


async def test_pong_tells_when_the_ping_was_read_and_when_it_was_answered(
    harness: ServiceHarness,
) -> None:
    client = harness.connect()
    harness.clock.advance(0.25)
    assert await client.ask("ping", ref="1") == {
        "code": "pong",
        "received": "2026-11-21T07:11:00.250000Z",
        "sent": "2026-11-21T07:11:00.250000Z",
        "ref": "1",
    }


async def test_a_later_ping_gets_later_times(harness: ServiceHarness) -> None:
    client = harness.connect()
    earlier = await client.ask("ping")
    harness.clock.advance(1.0)
    later = await client.ask("ping")
    assert "ref" not in later
    assert earlier["sent"] == "2026-11-21T07:11:00.000000Z"
    assert later["sent"] == later["received"] == "2026-11-21T07:11:01.000000Z"


async def test_echo_and_ping_work_after_hello_too(harness: ServiceHarness) -> None:
    ann = await harness.register("ann")
    assert await ann.ask("echo", content=1) == {"code": "echo", "content": 1}
    assert (await ann.ask("ping"))["code"] == "pong"
