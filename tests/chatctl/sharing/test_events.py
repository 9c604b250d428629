"""What a person is told while files are shared."""

import pytest

from chatctl.sharing.events import (
    EarlierRunComplete,
    PeerConnected,
    PeerUnreachable,
    ShareEvent,
    WaitingForPeers,
)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (WaitingForPeers(1, 60.0), "waiting up to 1m for 1 other peer"),
        (WaitingForPeers(2, 0.5), "waiting up to 500ms for 2 other peers"),
        (WaitingForPeers(None, 10.0), "waiting up to 10s for others"),
        (
            EarlierRunComplete(("2", "3\n")),
            "an earlier run has all files of 2, 3\\n; they count for who does not come again",
        ),
        (
            PeerUnreachable("peer 2", "192.0.2.1:9", "connection refused"),
            "peer 2 cannot be reached from here at 192.0.2.1:9: connection refused; "
            "files only go directly",
        ),
        (PeerConnected("2\x1b[2J", "192.0.2.1:9"), "peer 2\\x1b[2J is here (192.0.2.1:9)"),
    ],
)
def test_an_event_is_a_sentence(event: ShareEvent, text: str) -> None:
    assert str(event) == text
