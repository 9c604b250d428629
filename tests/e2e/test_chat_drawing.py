"""The picture that ``chatctl chat`` draws, as a terminal emulator shows it."""

from tests.e2e.daemon import Daemon
from tests.e2e.terminals import PROMPT, Terminals
from tests.e2e.wire import RawClient


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
