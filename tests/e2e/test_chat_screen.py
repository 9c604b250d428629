"""``chatctl chat`` on a terminal, with the real daemon and somebody to talk to."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chatctl.running import token_in
from tests.e2e.daemon import Daemon
from tests.e2e.terminals import PROMPT, Desk, Pty
from tests.e2e.wire import Wire

Start = Callable[..., Daemon]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path) as opened:
        yield opened


@pytest.fixture
def bob(daemon: Daemon) -> Iterator[Wire]:
    """Somebody with a client of the original protocol."""
    with Wire(daemon.address) as wire:
        wire.hello("bob")
        yield wire
        wire.say("quit")
        wire.hear_all()  # until the daemon has let his name go


def test_it_begins_with_where_it_connects_who_is_there_and_the_prompt(
    daemon: Daemon, bob: Wire, desk: Desk
) -> None:
    pty = desk.run("chat", daemon.host, str(daemon.port), "zoe")
    assert pty.see(PROMPT) == (
        f"connecting to server at {daemon.host}, {daemon.port}\n"
        "current users:\nbob\nzoe\n\nenter your message>"
    )


def test_the_server_may_stand_in_front_of_the_command(
    daemon: Daemon, bob: Wire, desk: Desk
) -> None:
    pty = desk.run("--server", f"{daemon.host}:{daemon.port}", "chat", "yves")
    assert f"connecting to server at {daemon.host}, {daemon.port}\n" in pty.see(PROMPT)
    pty.enter("quit")
    assert pty.end() == 0


def test_lines_go_to_one_or_to_everyone(daemon: Daemon, bob: Wire, desk: Desk) -> None:
    ann = desk.chat(daemon, "ann")
    ann.enter("bob|just us: grüße, 你好 😀")
    assert bob.hear() == {"code": "incoming", "from": "ann", "content": "just us: grüße, 你好 😀"}
    ann.see("you (to bob): just us: grüße, 你好 😀  ✓ ")
    for line, content in (("*|all of you", "all of you"), ("you too", "you too")):
        ann.enter(line)
        assert bob.hear() == {"code": "incoming_broadcast", "from": "ann", "content": content}
        ann.see(f"you: {content}  ✓ ")
        ann.see(" ms")


def test_what_others_say_is_shown_with_since_author_and_text(
    daemon: Daemon, bob: Wire, desk: Desk
) -> None:
    carla = desk.chat(daemon, "carla")
    bob.say("outgoing_broadcast", content="pizza later? \x1b[2J")
    carla.see("s  bob: pizza later? \\x1b[2J\n")
    bob.say("outgoing", to="carla", content="or pasta?")
    carla.see("s  bob (to you): or pasta?\n")


def test_a_name_that_is_not_there_is_told_beside_the_message(daemon: Daemon, desk: Desk) -> None:
    dan = desk.chat(daemon, "dan")
    dan.enter("nobody|hello?")
    dan.see("you (to nobody): hello?  ✗ there is no nobody here")


def test_who_lists_those_present_and_coming_and_going_is_told(
    daemon: Daemon, bob: Wire, desk: Desk
) -> None:
    erin = desk.chat(daemon, "erin")
    erin.enter("who")
    erin.see("current users:\nbob\nerin\n\n")
    with Wire(daemon.address) as fred:
        fred.hello("fred")
        erin.see("* fred joined\n")
    erin.see("* fred left\n")


def test_tab_completes_a_name(daemon: Daemon, bob: Wire, desk: Desk) -> None:
    gina = desk.chat(daemon, "gina")
    gina.enter("BO\thi")
    assert bob.hear() == {"code": "incoming", "from": "gina", "content": "hi"}
    with Wire(daemon.address) as boris:
        boris.hello("boris")
        gina.see("* boris joined")
        gina.type("bo\t")
        gina.see("bob  boris\n")
        gina.enter("r\thi")
        assert boris.hear()["content"] == "hi"


def test_the_arrow_up_brings_back_what_was_typed(daemon: Daemon, bob: Wire, desk: Desk) -> None:
    hans = desk.chat(daemon, "hans")
    hans.enter("bob|once")
    hans.see("you (to bob): once  ✓ ")
    assert bob.hear()["content"] == "once"
    hans.enter("\x1b[A and again")
    assert bob.hear()["content"] == "once and again"


def test_a_paste_is_one_message_however_long_and_however_many_lines(
    daemon: Daemon, bob: Wire, desk: Desk
) -> None:
    ida = desk.chat(daemon, "ida")
    for content in ("x" * 10_000, "def f():\n    return 1\nquit"):
        ida.paste(f"bob|{content}")
        ida.type("\r")
        assert bob.hear() == {"code": "incoming", "from": "ida", "content": content}
    ida.see("| quit  ✓ ")


@pytest.mark.parametrize(
    ("keys", "code"), [("quit\r", 0), ("\x04", 0), ("\x03", 130), ("half\x03\x03", 130)]
)
def test_one_leaves_with_quit_ctrl_d_or_ctrl_c(
    daemon: Daemon, desk: Desk, keys: str, code: int
) -> None:
    pty = desk.chat(daemon, f"leaving by {keys!r}")
    pty.type(keys)
    assert pty.end() == code
    assert "Traceback" not in pty.text


def test_ctrl_c_clears_a_line_before_it_leaves(daemon: Daemon, bob: Wire, desk: Desk) -> None:
    kim = desk.chat(daemon, "kim")
    kim.type("bob|never mind\x03")
    kim.enter("bob|instead")
    assert bob.hear()["content"] == "instead"


def test_what_was_entered_before_the_end_arrives(daemon: Daemon, bob: Wire, desk: Desk) -> None:
    lea = desk.chat(daemon, "lea")
    lea.type("".join(f"bob|{number}\r" for number in range(50)) + "\x04")
    assert [bob.hear()["content"] for _ in range(50)] == [str(number) for number in range(50)]
    assert lea.end() == 0
    assert lea.text.count("✓") == 50


@pytest.mark.parametrize("answer", ["", "y", "Yes"])
def test_a_taken_name_offers_the_suggestion(
    daemon: Daemon, bob: Wire, desk: Desk, answer: str
) -> None:
    pty = desk.run("chat", daemon.host, str(daemon.port), "bob")
    pty.see("the name bob is taken; use bob-")
    pty.see("? [Y/n]")
    pty.enter(answer)
    assert "\nbob-" in pty.see(PROMPT)
    pty.type("\x04")
    assert pty.end() == 0


@pytest.mark.parametrize(("keys", "code"), [("n\r", 4), ("\x04", 4), ("\x03", 130)])
def test_who_does_not_want_the_suggestion_leaves(
    daemon: Daemon, bob: Wire, desk: Desk, keys: str, code: int
) -> None:
    pty = desk.run("chat", daemon.host, str(daemon.port), "bob")
    pty.see("[Y/n]")
    pty.type(keys)
    assert pty.end() == code
    assert ("chatctl: the name bob is taken" in pty.text) == (code == 4)
    assert "Traceback" not in pty.text


def test_a_second_window_takes_another_name_and_leaves_the_first_alone(
    daemon: Daemon, desk: Desk
) -> None:
    first = desk.chat(daemon, "mia")
    second = desk.run("chat", daemon.host, str(daemon.port), "mia")
    second.see("the name mia is taken; use mia-2? [Y/n]")
    second.enter("")
    second.see(PROMPT)
    second.enter("mia|it is me")
    first.see("mia-2 (to you): it is me")


def test_a_name_stays_ours_from_one_run_to_the_next(daemon: Daemon, desk: Desk) -> None:
    for _ in range(2):
        nora = desk.chat(daemon, "nora")
        nora.enter("quit")
        assert nora.end() == 0


def test_colours_are_off_where_they_are_not_wanted(daemon: Daemon, bob: Wire, desk: Desk) -> None:
    assert "\x1b[0;38;5;" in shown_by(desk.chat(daemon, "olga"), bob)
    assert "8;5;" not in shown_by(desk.chat(daemon, "otto", NO_COLOR="1"), bob)


def shown_by(pty: Pty, bob: Wire) -> str:
    bob.say("outgoing_broadcast", content="colourful")
    pty.see("bob: colourful")
    return pty.raw


def test_a_terminal_that_cannot_move_its_cursor_is_used_like_a_pipe(
    daemon: Daemon, bob: Wire, desk: Desk
) -> None:
    pty = desk.run("chat", daemon.host, str(daemon.port), "quirin", TERM="dumb")
    pty.see("current users:\nbob\nquirin\n\n")
    pty.enter("bob|hi")
    assert bob.hear()["content"] == "hi"
    pty.enter("quit")
    assert pty.end() == 0
    assert PROMPT not in pty.text


def test_a_restarted_server_is_one_quiet_line_and_nothing_typed_is_lost(
    start: Start, desk: Desk
) -> None:
    first = start()
    pia = desk.chat(first, "pia")
    port = str(first.port)
    first.stop()
    pia.see("* the server stops; come back in a moment; reconnecting\n")
    pia.enter("are you there?")
    second = start("--port", port)
    pia.see("* connected again after ")
    pia.see("you: are you there?  ✓ ")
    assert pia.text.count("; reconnecting") == 1
    with Wire(second.address) as bob:
        bob.hello("bob")
        pia.see("* bob joined")
        pia.enter("bo\tback")
        assert bob.hear()["content"] == "back"


def test_leaving_while_the_server_is_away_tells_what_was_not_sent(start: Start, desk: Desk) -> None:
    daemon = start()
    rosa = desk.chat(daemon, "rosa", "--timeout", "500ms")
    daemon.stop()
    rosa.see("; reconnecting\n")
    rosa.enter("too late")
    rosa.type("\x04")
    assert rosa.end() == 7
    assert "you: too late  ✗ not acknowledged\n" in rosa.text
    assert "chatctl: 1 message is not acknowledged, and sent when rosa is back\n" in rosa.text
    assert rosa.text.endswith("chatctl: messages that were not acknowledged: 1\n")


def test_who_is_replaced_is_told_and_does_not_come_back(
    daemon: Daemon, desk: Desk, tmp_path: Path
) -> None:
    sam = desk.chat(daemon, "sam")
    with Wire(daemon.address) as thief:
        thief.hello("sam", version=1, token=token_in(tmp_path / "state"))
        assert sam.end() == 4
    assert sam.text.endswith("you signed in on another connection, which has the name now\n")


def test_what_arrives_leaves_a_half_typed_line_as_it_is(
    daemon: Daemon, bob: Wire, desk: Desk
) -> None:
    pane = desk.watch(daemon, "tina")
    pane.type("bob|half a li")
    pane.wait_for(f"{PROMPT}bob|half a li")
    bob.say("outgoing_broadcast", content="pizza later?")
    pane.wait_for("…s  bob: pizza later?", f"{PROMPT}bob|half a li")
    pane.type("ne")
    pane.press("Enter")
    assert bob.hear()["content"] == "half a line"
    pane.wait_for("…s  bob: pizza later?", "… you (to bob): half a line  ✓ …", PROMPT)


def test_a_flood_of_messages_tears_nothing(daemon: Daemon, bob: Wire, desk: Desk) -> None:
    pane = desk.watch(daemon, "uwe")
    typed = ""
    for number in range(300):
        bob.say("outgoing_broadcast", content=f"number {number}")
        if number % 10 == 0:
            typed += f"{number} "
            pane.type(f"{number} ")
    first, second = typed[:81], typed[81:]
    pane.wait_for("… bob: number 299", f"{PROMPT}{first}".rstrip(), second.rstrip())
    lines = pane.look(scrolled=True)
    assert [line.partition("bob: ")[2] for line in lines if "bob: " in line] == [
        f"number {number}" for number in range(300)
    ]
    assert sum(line.startswith(PROMPT) for line in lines) == 1


def test_a_window_that_changes_its_size_keeps_the_line(
    daemon: Daemon, bob: Wire, desk: Desk
) -> None:
    pane = desk.watch(daemon, "vera")
    pane.type("a line that is longer than the narrow window")
    pane.wait_for(f"{PROMPT}a line that is longer than the narrow window")
    pane.resize(40, 20)
    pane.wait_for(f"{PROMPT}a line that is longer", " than the narrow window")
    bob.say("outgoing_broadcast", content="still here?")
    pane.wait_for("… bob: still here?", f"{PROMPT}a line that is longer", " than the narrow window")
    pane.resize(100, 20)
    pane.wait_for("… bob: still here?", f"{PROMPT}a line that is longer than the narrow window")


def test_a_long_paste_leaves_room_for_what_others_say(
    daemon: Daemon, bob: Wire, desk: Desk
) -> None:
    pane = desk.watch(daemon, "willi")
    pane.press("Escape", "[200~")
    pane.type("x" * 3_000)
    pane.press("Escape", "[201~")
    pane.wait_for("x" * 100, "x" * 19)
    bob.say("outgoing_broadcast", content="what is that?")
    pane.wait_for(*["…bob: what is that?", *["x" * 100] * 9, "x" * 19])
