"""How ``chatctl chat`` on a terminal ends: the user leaves, or the server is down."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chatctl.running import token_in
from tests.e2e.daemon import Daemon
from tests.e2e.terminals import Terminals
from tests.e2e.wire import RawClient

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
    pia.expect("* the server stops; come back in a moment; reconnecting\n")
    pia.enter("are you there?")
    second = start("--port", port)
    pia.expect("* connected again after ")
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
    assert "chatctl: 1 message is not acknowledged, and sent when rosa is back\n" in rosa.text
    assert rosa.text.endswith("chatctl: messages that were not acknowledged: 1\n")


def test_a_replaced_client_gets_a_notice_and_does_not_reconnect(
    daemon: Daemon, terminals: Terminals, tmp_path: Path
) -> None:
    sam = terminals.chat(daemon, "sam")
    with RawClient(daemon.address) as thief:
        thief.hello("sam", version=1, token=token_in(tmp_path / "state"))
        assert sam.end() == 4
    assert sam.text.endswith("you signed in on another connection, which has the name now\n")
