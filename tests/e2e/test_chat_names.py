"""The name under which ``chatctl chat`` on a terminal logs in."""

import pytest

from tests.e2e.daemon import Daemon
from tests.e2e.terminals import PROMPT, Terminals
from tests.e2e.wire import RawClient


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
