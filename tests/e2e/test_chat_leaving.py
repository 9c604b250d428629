"""How ``chatctl chat`` on a terminal ends: as one wishes, or because the server is away."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chatctl.running import token_in
from tests.e2e.daemon import Daemon
from tests.e2e.terminals import Desk
from tests.e2e.wire import Wire

Start = Callable[..., Daemon]


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


def test_a_restarted_server_is_one_quiet_line_and_nothing_typed_is_lost(
    start: Start, desk: Desk, reserved_port: int
) -> None:
    port = str(reserved_port)
    first = start("--port", port)
    pia = desk.chat(first, "pia")
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
    rosa = desk.chat(daemon, "rosa", "--timeout", "1s")
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
