"""The text format: what a person with netcat types and sees."""

import pytest

from tests.chatd.stage import Stage, Visitor


async def guest(stage: Stage) -> Visitor:
    visitor = stage.enter()
    await visitor.hello(format="text")
    return visitor


async def test_two_anonymous_netcats_talk(stage: Stage) -> None:
    one, other = await guest(stage), await guest(stage)
    stage.clock.advance(3)
    await one.say_line("pizza later?")
    assert other.lines() == ["3 < pizza later?"]
    stage.clock.advance(3)
    await one.say_line("or maybe pasta?")
    assert other.lines() == ["6 < or maybe pasta?"]
    assert one.lines() == []


async def test_a_named_author_is_shown_with_the_name(stage: Stage) -> None:
    ann, other = await stage.hello("ann", format="text"), await guest(stage)
    stage.clock.advance(3)
    await ann.say_line("pizza later?")
    assert other.lines() == ["3 ann < pizza later?"]


async def test_a_direct_message_is_marked_as_such(stage: Stage) -> None:
    ann, other = await stage.hello("ann", format="text"), await guest(stage)
    stage.clock.advance(3)
    await ann.say_line("guest-1|hi")
    assert other.lines() == ["3 ann (to you) < hi"]


async def test_guests_are_numbered_and_listed(stage: Stage) -> None:
    await guest(stage)
    await stage.hello("guest-2")
    other = await guest(stage)
    await other.say_line("who")
    assert other.lines() == ["current users:", "guest-1", "guest-2", "guest-3", ""]


async def test_programs_see_a_guest_under_its_number(stage: Stage) -> None:
    ann, other = await stage.hello("ann"), await guest(stage)
    await other.say_line("*|hey")
    assert ann.heard() == [{"code": "incoming_broadcast", "from": "guest-1", "content": "hey"}]


async def test_hello_is_not_answered(stage: Stage) -> None:
    visitor = stage.enter()
    await visitor.say("hello", name="ann", format="text")
    assert visitor.lines() == []


async def test_an_error_is_a_line_that_begins_with_an_exclamation_mark(stage: Stage) -> None:
    one = await guest(stage)
    await one.say_line("nobody|hi")
    assert one.lines() == ["! there is no nobody here; send `who` to see who is"]


async def test_a_refused_hello_is_answered_in_json_and_may_be_said_again(stage: Stage) -> None:
    await stage.hello("ann")
    other = stage.enter()
    error = await other.ask("hello", name="ann", format="text")
    assert error["suggestion"] == "ann-2"
    await other.hello(name="ann-2", format="text")
    await other.say_line("who")
    assert other.lines() == ["current users:", "ann", "ann-2", ""]


async def test_quit_closes(stage: Stage) -> None:
    one = await guest(stage)
    await one.say_line("quit")
    assert one.is_gone()


@pytest.mark.parametrize("content", ["\x1b[2J", "a\nb", "\u202egnp.exe"])
async def test_nobody_can_move_another_ones_cursor(stage: Stage, content: str) -> None:
    ann, other = await stage.hello("ann"), await guest(stage)
    await ann.say("outgoing_broadcast", content=content)
    (line,) = other.lines()
    assert line.isprintable()


async def test_a_replay_looks_like_what_was_missed(stage: Stage) -> None:
    one = await guest(stage)
    stage.clock.advance(3)
    await one.say_line("pizza later?")
    stage.end_turn.run()
    other = stage.enter()
    await other.hello(name="ann", format="text", after=0)
    assert other.lines() == ["3 < pizza later?"]
