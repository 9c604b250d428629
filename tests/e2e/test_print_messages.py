"""The client messages that the daemon prints."""

from collections.abc import Callable

from tests.e2e.daemon import Daemon
from tests.e2e.wire import RawClient

Start = Callable[..., Daemon]


def test_messages_are_printed_where_that_is_asked_for_and_nowhere_else(start: Start) -> None:
    loud, quiet = start("--print-messages"), start("--log-level", "debug")
    for daemon in (loud, quiet):
        with RawClient(daemon.address) as client:
            client.hello("ann", version=1, token="a secret of ann's")
            client.send("outgoing", to="ann", content="for \x1b[2J her eyes only")
            client.receive()
            client.send_bytes(b"what?\n")
            client.receive()
    assert "not a message" in loud.stderr
    assert r'"content":"for \u001b[2J her eyes only"' in loud.stderr
    assert "secret" not in loud.stderr
    assert "her eyes" not in quiet.stderr
    assert "what?" not in quiet.stderr
