"""Under which name ``chatctl chat`` on a terminal signs in."""

import pytest

from tests.e2e.daemon import Daemon
from tests.e2e.terminals import PROMPT, Desk
from tests.e2e.wire import Wire


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
