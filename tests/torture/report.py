"""The verdict for people, as a table, and for programs, as one JSON object a line."""

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.torture.supervisor import Verdict


def as_json(verdict: Verdict) -> str:
    """Return the verdict in one line."""
    return msgspec.json.encode({"holds": verdict.holds, **msgspec.structs.asdict(verdict)}).decode()


def show(verdict: Verdict, console: Console) -> None:
    """Print what was done, a line for each promise, and examples of what was broken."""
    for line in _summary(verdict):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(_table(verdict, is_plain=not console.is_terminal))
    for promise in verdict.promises:
        for example in promise.examples:
            console.print(f"  {promise.text}: {example}", markup=False, style="red", soft_wrap=True)
    outcome = "all promises held" if verdict.holds else "promises were broken"
    console.print(Text(outcome, "bold green" if verdict.holds else "bold red"))


def _summary(verdict: Verdict) -> list[str]:
    plan, faults = verdict.plan, verdict.faults
    kept = f"the newest {plan.keep_messages} kept" if plan.keep_messages else "all kept"
    return [
        f"torture: {plan.clients} clients, durability {plan.durability}, {kept}, "
        f"seed {plan.seed}, {verdict.seconds:.0f} s",
        f"the daemon was killed {faults.daemon_kills} times, {faults.killed_while_starting} of them"
        " as soon as it was started",
        f"clients were killed {faults.client_kills} times and stopped {faults.client_stops} times; "
        f"{faults.cuts} connections were cut within a line",
        f"{verdict.messages} messages were sent; {verdict.resent} acknowledgements were of one "
        "that was sent again",
        f"{verdict.repeats} messages were seen again by a client that was killed as it saw them; "
        f"{verdict.gaps} gaps were reported",
    ]


def _table(verdict: Verdict, *, is_plain: bool) -> Table:
    table = Table(box=None if is_plain else box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("promise", no_wrap=True)
    table.add_column("checked", justify="right")
    table.add_column("broken", justify="right")
    for promise in verdict.promises:
        style = "red" if promise.broken else ""
        table.add_row(promise.text, f"{promise.checked:,}", f"{promise.broken:,}", style=style)
    return table
