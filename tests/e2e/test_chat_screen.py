"""``chatctl chat`` on a terminal, with the real daemon and another client."""

from tests.e2e.daemon import Daemon
from tests.e2e.terminals import PROMPT, Terminal, Terminals
from tests.e2e.wire import RawClient


def test_it_begins_with_where_it_connects_who_is_there_and_the_prompt(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    terminal = terminals.run("chat", daemon.host, str(daemon.port), "zoe")
    assert terminal.expect(PROMPT) == (
        f"connecting to server at {daemon.host}, {daemon.port}\n"
        "current users:\nbob\nzoe\n\nenter your message>"
    )


def test_the_server_may_stand_in_front_of_the_command(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    terminal = terminals.run("--server", f"{daemon.host}:{daemon.port}", "chat", "yves")
    assert f"connecting to server at {daemon.host}, {daemon.port}\n" in terminal.expect(PROMPT)
    terminal.enter("quit")
    assert terminal.end() == 0


def test_lines_go_to_one_or_to_everyone(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    ann = terminals.chat(daemon, "ann")
    ann.enter("bob|just us: grüße, 你好 😀")
    assert bob.receive() == {
        "code": "incoming",
        "from": "ann",
        "content": "just us: grüße, 你好 😀",
    }
    ann.expect("you (to bob): just us: grüße, 你好 😀  ✓ ")
    for line, content in (("*|all of you", "all of you"), ("you too", "you too")):
        ann.enter(line)
        assert bob.receive() == {"code": "incoming_broadcast", "from": "ann", "content": content}
        ann.expect(f"you: {content}  ✓ ")
        ann.expect(" ms")


def test_what_others_say_is_shown_with_since_author_and_text(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    carla = terminals.chat(daemon, "carla")
    bob.send("outgoing_broadcast", content="pizza later? \x1b[2J")
    carla.expect("s  bob: pizza later? \\x1b[2J\n")
    bob.send("outgoing", to="carla", content="or pasta?")
    carla.expect("s  bob (to you): or pasta?\n")


def test_an_unknown_recipient_is_an_error_beside_the_message(
    daemon: Daemon, terminals: Terminals
) -> None:
    dan = terminals.chat(daemon, "dan")
    dan.enter("nobody|hello?")
    dan.expect("you (to nobody): hello?  ✗ there is no nobody here")


def test_who_lists_online_users_and_joins_and_leaves_are_shown(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    erin = terminals.chat(daemon, "erin")
    erin.enter("who")
    erin.expect("current users:\nbob\nerin\n\n")
    with RawClient(daemon.address) as fred:
        fred.hello("fred")
        erin.expect("* fred joined\n")
    erin.expect("* fred left\n")


def test_tab_completes_a_name(daemon: Daemon, bob: RawClient, terminals: Terminals) -> None:
    gina = terminals.chat(daemon, "gina")
    gina.enter("BO\thi")
    assert bob.receive() == {"code": "incoming", "from": "gina", "content": "hi"}
    with RawClient(daemon.address) as boris:
        boris.hello("boris")
        gina.expect("* boris joined")
        gina.type("bo\t")
        gina.expect("bob  boris\n")
        gina.enter("r\thi")
        assert boris.receive()["content"] == "hi"


def test_the_arrow_up_brings_back_what_was_typed(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    hans = terminals.chat(daemon, "hans")
    hans.enter("bob|once")
    hans.expect("you (to bob): once  ✓ ")
    assert bob.receive()["content"] == "once"
    hans.enter("\x1b[A and again")
    assert bob.receive()["content"] == "once and again"


def test_a_paste_is_one_message_however_long_and_however_many_lines(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    ida = terminals.chat(daemon, "ida")
    for content in ("x" * 10_000, "def f():\n    return 1\nquit"):
        ida.paste(f"bob|{content}")
        ida.type("\r")
        assert bob.receive() == {"code": "incoming", "from": "ida", "content": content}
    ida.expect("| quit  ✓ ")


def test_colours_are_off_where_they_are_not_wanted(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    assert "\x1b[0;38;5;" in shown_by(terminals.chat(daemon, "olga"), bob)
    assert "8;5;" not in shown_by(terminals.chat(daemon, "otto", NO_COLOR="1"), bob)


def shown_by(terminal: Terminal, bob: RawClient) -> str:
    bob.send("outgoing_broadcast", content="colourful")
    terminal.expect("bob: colourful")
    return terminal.raw


def test_a_terminal_that_cannot_move_its_cursor_is_used_like_a_pipe(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    terminal = terminals.run("chat", daemon.host, str(daemon.port), "quirin", TERM="dumb")
    terminal.expect("current users:\nbob\nquirin\n\n")
    terminal.enter("bob|hi")
    assert bob.receive()["content"] == "hi"
    terminal.enter("quit")
    assert terminal.end() == 0
    assert PROMPT not in terminal.text
