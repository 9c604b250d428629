"""The verdict as people and programs get it."""

import io
import json

import pytest
from rich.console import Console

from tests.torture import report
from tests.torture.checker import promise
from tests.torture.supervisor import FaultCounts, Plan, Verdict

PLAN = Plan(durability="power", seed=7, kills=100, clients=20, patience=60, limit=900)


def verdict(*broken: str) -> Verdict:
    return Verdict(
        plan=PLAN,
        seconds=65.4,
        faults=FaultCounts(
            daemon_kills=100, killed_while_starting=18, client_kills=76, client_stops=45, cuts=421
        ),
        messages=12478,
        resent=903,
        repeats=5,
        gaps=2,
        promises=[promise("all is well", 3, []), promise("all is done", 124906, broken)],
    )


def shown(outcome: Verdict, *, is_terminal: bool = False) -> str:
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=80)
    report.show(outcome, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_off_a_terminal_the_verdict_is_plain_text() -> None:
    lines = [line.rstrip() for line in shown(verdict()).splitlines()]

    assert lines[:2] == [
        "torture: 20 clients, durability power, all kept, seed 7, 65 s",
        "the daemon was killed 100 times, 18 of them as soon as it was started",
    ]
    assert lines[-4:] == [
        "promise      checked  broken",
        "all is well        3       0",
        "all is done  124,906       0",
        "all promises held",
    ]


def test_on_a_terminal_it_has_colour() -> None:
    assert "\x1b[1;32mall promises held" in shown(verdict(), is_terminal=True)


def test_what_was_broken_is_listed_with_examples() -> None:
    text = shown(verdict("ann.1 [red]is lost", "ann.2 is lost"))

    assert "all is done  124,906       2" in text
    assert "  all is done: ann.1 [red]is lost\n" in text
    assert text.endswith("promises were broken\n")


@pytest.mark.parametrize("broken", [(), ("ann.1 is lost",)])
def test_a_program_gets_the_same_in_one_line(broken: tuple[str, ...]) -> None:
    line = report.as_json(verdict(*broken))

    assert "\n" not in line
    data = json.loads(line)
    assert data["holds"] is not bool(broken)
    assert data["plan"]["seed"] == 7
    assert data["faults"]["cuts"] == 421
    assert data["promises"][1] == {
        "text": "all is done",
        "checked": 124906,
        "broken": len(broken),
        "examples": list(broken),
    }
