"""``chatctl chat`` on a terminal, from its login to its end, with the real daemon."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.chatctl_process import token_in
from tests.support.daemon_process import Daemon, RawClient
from tests.support.terminal import PROMPT, Terminal, Terminals


def test_what_arrives_leaves_a_half_typed_line_as_it_is(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    terminal = terminals.watch(daemon, "tina")
    terminal.type("bob|half a li")
    terminal.wait_for(f"{PROMPT}bob|half a li")
    bob.send("outgoing_broadcast", content="pizza later?")
    terminal.wait_for("…s  bob: pizza later?", f"{PROMPT}bob|half a li")
    terminal.type("ne")
    terminal.press("Enter")
    assert bob.receive()["content"] == "half a line"
    terminal.wait_for("…s  bob: pizza later?", "… you (to bob): half a line  ✓ …", PROMPT)


def test_a_flood_of_messages_tears_nothing(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    terminal = terminals.watch(daemon, "uwe")
    typed = ""
    for number in range(300):
        bob.send("outgoing_broadcast", content=f"number {number}")
        if number % 10 == 0:
            typed += f"{number} "
            terminal.type(f"{number} ")
    first, second = typed[:81], typed[81:]
    terminal.wait_for("… bob: number 299", f"{PROMPT}{first}".rstrip(), second.rstrip())
    lines = terminal.screen(scrolled=True)
    assert [line.partition("bob: ")[2] for line in lines if "bob: " in line] == [
        f"number {number}" for number in range(300)
    ]
    assert sum(line.startswith(PROMPT) for line in lines) == 1


def test_a_window_that_changes_its_size_keeps_the_line(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    terminal = terminals.watch(daemon, "vera")
    terminal.type("a line that is longer than the narrow window")
    terminal.wait_for(f"{PROMPT}a line that is longer than the narrow window")
    terminal.resize(40, 20)
    terminal.wait_for(f"{PROMPT}a line that is longer", " than the narrow window")
    bob.send("outgoing_broadcast", content="still here?")
    terminal.wait_for(
        "… bob: still here?", f"{PROMPT}a line that is longer", " than the narrow window"
    )
    terminal.resize(100, 20)
    terminal.wait_for("… bob: still here?", f"{PROMPT}a line that is longer than the narrow window")


def test_a_long_paste_leaves_room_for_what_others_say(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    terminal = terminals.watch(daemon, "willi")
    terminal.press("Escape", "[200~")
    terminal.type("x" * 3_000)
    terminal.press("Escape", "[201~")
    terminal.wait_for("x" * 100, "x" * 19)
    bob.send("outgoing_broadcast", content="what is that?")
    terminal.wait_for(*["…bob: what is that?", *["x" * 100] * 9, "x" * 19])


Start = Callable[..., Daemon]


@pytest.mark.parametrize(
    ("keys", "code"), [("quit\r", 0), ("\x04", 0), ("\x03", 130), ("half\x03\x03", 130)]
)
def test_one_leaves_with_quit_ctrl_d_or_ctrl_c(
    daemon: Daemon, terminals: Terminals, keys: str, code: int
) -> None:
    terminal = terminals.chat(daemon, f"leaving by {keys!r}")
    terminal.type(keys)
    assert terminal.end() == code
    assert "Traceback" not in terminal.text


def test_ctrl_c_clears_a_line_before_it_leaves(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    kim = terminals.chat(daemon, "kim")
    kim.type("bob|never mind\x03")
    kim.enter("bob|instead")
    assert bob.receive()["content"] == "instead"


def test_what_was_entered_before_the_end_arrives(
    daemon: Daemon, bob: RawClient, terminals: Terminals
) -> None:
    lea = terminals.chat(daemon, "lea")
    lea.type("".join(f"bob|{number}\r" for number in range(50)) + "\x04")
    assert [bob.receive()["content"] for _ in range(50)] == [str(number) for number in range(50)]
    assert lea.end() == 0
    assert lea.text.count("✓") == 50


def test_a_restarted_server_is_one_quiet_line_and_nothing_typed_is_lost(
    start: Start, terminals: Terminals, reserved_port: int
) -> None:
    port = str(reserved_port)
    first = start("--port", port)
    pia = terminals.chat(first, "pia")
    first.stop()
    pia.expect("* the server is shutting down; reconnecting\n")
    pia.enter("are you there?")
    second = start("--port", port)
    pia.expect("* reconnected after ")
    pia.expect("you: are you there?  ✓ ")
    assert pia.text.count("; reconnecting") == 1
    with RawClient(second.address) as bob:
        bob.hello("bob")
        pia.expect("* bob joined")
        pia.enter("bo\tback")
        assert bob.receive()["content"] == "back"


def test_leaving_while_the_server_is_down_lists_what_was_not_sent(
    start: Start, terminals: Terminals
) -> None:
    daemon = start()
    rosa = terminals.chat(daemon, "rosa", "--timeout", "1s")
    daemon.stop()
    rosa.expect("; reconnecting\n")
    rosa.enter("too late")
    rosa.type("\x04")
    assert rosa.end() == 7
    assert "you: too late  ✗ not acknowledged\n" in rosa.text
    assert (
        "chatctl: 1 message is not acknowledged yet; the next login as rosa sends it\n" in rosa.text
    )
    assert rosa.text.endswith("chatctl: messages not acknowledged: 1\n")


def test_a_replaced_client_gets_a_notice_and_does_not_reconnect(
    daemon: Daemon, terminals: Terminals, tmp_path: Path
) -> None:
    sam = terminals.chat(daemon, "sam")
    with RawClient(daemon.address) as thief:
        thief.hello("sam", version=1, token=token_in(tmp_path / "state"))
        assert sam.end() == 4
    assert sam.text.endswith("you logged in on another connection, which has the name now\n")


@pytest.mark.parametrize("answer", ["", "y", "Yes"])
def test_a_taken_name_offers_the_suggestion(
    daemon: Daemon, bob: RawClient, terminals: Terminals, answer: str
) -> None:
    terminal = terminals.run("chat", daemon.host, str(daemon.port), "bob")
    terminal.expect("the name bob is taken; use bob-")
    terminal.expect("? [Y/n]")
    terminal.enter(answer)
    assert "\nbob-" in terminal.expect(PROMPT)
    terminal.type("\x04")
    assert terminal.end() == 0


@pytest.mark.parametrize(("keys", "code"), [("n\r", 4), ("\x04", 4), ("\x03", 130)])
def test_declining_the_suggestion_ends_the_chat(
    daemon: Daemon, bob: RawClient, terminals: Terminals, keys: str, code: int
) -> None:
    terminal = terminals.run("chat", daemon.host, str(daemon.port), "bob")
    terminal.expect("[Y/n]")
    terminal.type(keys)
    assert terminal.end() == code
    assert ("chatctl: the name bob is taken" in terminal.text) == (code == 4)
    assert "Traceback" not in terminal.text


def test_a_second_window_takes_another_name_and_leaves_the_first_alone(
    daemon: Daemon, terminals: Terminals
) -> None:
    first = terminals.chat(daemon, "mia")
    second = terminals.run("chat", daemon.host, str(daemon.port), "mia")
    second.expect("the name mia is taken; use mia-2? [Y/n]")
    second.enter("")
    second.expect(PROMPT)
    second.enter("mia|it is me")
    first.expect("mia-2 (to you): it is me")


def test_a_name_stays_reserved_from_one_run_to_the_next(
    daemon: Daemon, terminals: Terminals
) -> None:
    for _ in range(2):
        nora = terminals.chat(daemon, "nora")
        nora.enter("quit")
        assert nora.end() == 0


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
    dan.expect('you (to nobody): hello?  ✗ nobody called "nobody" is known here')


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
