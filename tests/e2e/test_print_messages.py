"""What the daemon prints of what clients say."""

from collections.abc import Callable

from tests.e2e.daemon import Daemon
from tests.e2e.wire import Wire

Start = Callable[..., Daemon]


def test_messages_are_printed_where_that_is_asked_for_and_nowhere_else(start: Start) -> None:
    loud, quiet = start("--print-messages"), start("--log-level", "debug")
    for daemon in (loud, quiet):
        with Wire(daemon.address) as wire:
            wire.hello("ann", version=1, token="a secret of ann's")
            wire.say("outgoing", to="ann", content="for \x1b[2J her eyes only")
            wire.hear()
            wire.send(b"what?\n")
            wire.hear()
    assert "not a message" in loud.stderr
    assert r'"content":"for \u001b[2J her eyes only"' in loud.stderr
    assert "secret" not in loud.stderr
    assert "her eyes" not in quiet.stderr
    assert "what?" not in quiet.stderr
