"""The picture that ``chatctl chat`` draws, as a terminal emulator shows it."""

from tests.e2e.daemon import Daemon
from tests.e2e.terminals import PROMPT, Desk
from tests.e2e.wire import Wire


def test_what_arrives_leaves_a_half_typed_line_as_it_is(
    daemon: Daemon, bob: Wire, desk: Desk
) -> None:
    pane = desk.watch(daemon, "tina")
    pane.type("bob|half a li")
    pane.wait_for(f"{PROMPT}bob|half a li")
    bob.say("outgoing_broadcast", content="pizza later?")
    pane.wait_for("…s  bob: pizza later?", f"{PROMPT}bob|half a li")
    pane.type("ne")
    pane.press("Enter")
    assert bob.hear()["content"] == "half a line"
    pane.wait_for("…s  bob: pizza later?", "… you (to bob): half a line  ✓ …", PROMPT)


def test_a_flood_of_messages_tears_nothing(daemon: Daemon, bob: Wire, desk: Desk) -> None:
    pane = desk.watch(daemon, "uwe")
    typed = ""
    for number in range(300):
        bob.say("outgoing_broadcast", content=f"number {number}")
        if number % 10 == 0:
            typed += f"{number} "
            pane.type(f"{number} ")
    first, second = typed[:81], typed[81:]
    pane.wait_for("… bob: number 299", f"{PROMPT}{first}".rstrip(), second.rstrip())
    lines = pane.look(scrolled=True)
    assert [line.partition("bob: ")[2] for line in lines if "bob: " in line] == [
        f"number {number}" for number in range(300)
    ]
    assert sum(line.startswith(PROMPT) for line in lines) == 1


def test_a_window_that_changes_its_size_keeps_the_line(
    daemon: Daemon, bob: Wire, desk: Desk
) -> None:
    pane = desk.watch(daemon, "vera")
    pane.type("a line that is longer than the narrow window")
    pane.wait_for(f"{PROMPT}a line that is longer than the narrow window")
    pane.resize(40, 20)
    pane.wait_for(f"{PROMPT}a line that is longer", " than the narrow window")
    bob.say("outgoing_broadcast", content="still here?")
    pane.wait_for("… bob: still here?", f"{PROMPT}a line that is longer", " than the narrow window")
    pane.resize(100, 20)
    pane.wait_for("… bob: still here?", f"{PROMPT}a line that is longer than the narrow window")


def test_a_long_paste_leaves_room_for_what_others_say(
    daemon: Daemon, bob: Wire, desk: Desk
) -> None:
    pane = desk.watch(daemon, "willi")
    pane.press("Escape", "[200~")
    pane.type("x" * 3_000)
    pane.press("Escape", "[201~")
    pane.wait_for("x" * 100, "x" * 19)
    bob.say("outgoing_broadcast", content="what is that?")
    pane.wait_for(*["…bob: what is that?", *["x" * 100] * 9, "x" * 19])
