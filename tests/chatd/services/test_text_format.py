"""The text format: what a person with netcat types and sees."""

import pytest

from tests.support.service_harness import FakeClient, ServiceHarness


async def guest(harness: ServiceHarness) -> FakeClient:
    client = harness.connect()
    await client.hello(format="text")
    return client


async def test_two_anonymous_netcats_talk(harness: ServiceHarness) -> None:
    one, other = await guest(harness), await guest(harness)
    harness.clock.advance(3)
    await one.send_line("pizza later?")
    assert other.lines() == ["3 < pizza later?"]
    harness.clock.advance(3)
    await one.send_line("or maybe pasta?")
    assert other.lines() == ["6 < or maybe pasta?"]
    assert one.lines() == []


async def test_a_named_author_is_shown_with_the_name(harness: ServiceHarness) -> None:
    ann, other = await harness.register("ann", format="text"), await guest(harness)
    harness.clock.advance(3)
    await ann.send_line("pizza later?")
    assert other.lines() == ["3 ann < pizza later?"]


async def test_a_direct_message_is_marked_as_such(harness: ServiceHarness) -> None:
    ann, other = await harness.register("ann", format="text"), await guest(harness)
    harness.clock.advance(3)
    await ann.send_line("guest-1|hi")
    assert other.lines() == ["3 ann (to you) < hi"]


async def test_guests_are_numbered_and_listed(harness: ServiceHarness) -> None:
    await guest(harness)
    await harness.register("guest-2")
    other = await guest(harness)
    await other.send_line("who")
    assert other.lines() == ["current users:", "guest-1", "guest-2", "guest-3", ""]


async def test_programs_see_a_guest_under_its_number(harness: ServiceHarness) -> None:
    ann, other = await harness.register("ann"), await guest(harness)
    await other.send_line("*|hey")
    assert ann.received() == [{"code": "incoming_broadcast", "from": "guest-1", "content": "hey"}]


async def test_hello_is_not_answered(harness: ServiceHarness) -> None:
    client = harness.connect()
    await client.send("hello", name="ann", format="text")
    assert client.lines() == []


async def test_an_error_is_a_line_that_begins_with_an_exclamation_mark(
    harness: ServiceHarness,
) -> None:
    one = await guest(harness)
    await one.send_line("nobody|hi")
    assert one.lines() == ['! nobody called "nobody" is known here; `who` lists who is present']


async def test_a_refused_hello_is_answered_in_json_and_may_be_said_again(
    harness: ServiceHarness,
) -> None:
    await harness.register("ann")
    other = harness.connect()
    error = await other.ask("hello", name="ann", format="text")
    assert error["suggestion"] == "ann-2"
    await other.hello(name="ann-2", format="text")
    await other.send_line("who")
    assert other.lines() == ["current users:", "ann", "ann-2", ""]


async def test_quit_closes(harness: ServiceHarness) -> None:
    one = await guest(harness)
    await one.send_line("quit")
    assert one.is_closed()


@pytest.mark.parametrize("content", ["\x1b[2J", "a\nb", "\u202egnp.exe"])
async def test_nobody_can_move_another_ones_cursor(harness: ServiceHarness, content: str) -> None:
    ann, other = await harness.register("ann"), await guest(harness)
    await ann.send("outgoing_broadcast", content=content)
    (line,) = other.lines()
    assert line.isprintable()


async def test_a_replay_looks_like_what_was_missed(harness: ServiceHarness) -> None:
    one = await guest(harness)
    harness.clock.advance(3)
    await one.send_line("pizza later?")
    harness.scheduler.run()
    other = harness.connect()
    await other.hello(name="ann", format="text", after=0)
    assert other.lines() == ["3 < pizza later?"]
