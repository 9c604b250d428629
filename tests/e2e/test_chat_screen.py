"""``chatctl chat`` on a terminal, with the real daemon and somebody to talk to."""

from tests.e2e.daemon import Daemon
from tests.e2e.terminals import PROMPT, Desk, Pty
from tests.e2e.wire import Wire


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
