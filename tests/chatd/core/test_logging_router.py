"""What ``--print-messages`` logs: a line for each message, without secrets."""

import logging

import pytest

from chatd.core.router import MAX_CHARACTERS, LoggingRouter, Route, Router, route, summarize
from chatd.core.session import Session
from common.messages import ClientMessage, Error
from common.messages.basic import Ping
from common.messages.chat import Hello, History, Outgoing, OutgoingBroadcast
from common.messages.request import BareRequest
from common.protocol.codec import InvalidLine
from common.protocol.registry import FROM_CLIENT
from tests.support.fakes import detached_send_queue


class NullTransport:
    """A transport without a connection, and a service that takes every message."""

    local_host = "192.0.2.254"

    routes: tuple[Route, ...] = tuple(
        route(kind, lambda _session, _message: None) for kind in FROM_CLIENT.kinds
    )

    def closed(self, session: Session) -> None:
        raise AssertionError("no session ends here")

    def close_transport(self) -> None:
        raise AssertionError("no session ends here")

    async def drain(self) -> None:
        raise AssertionError("nothing is written here")


@pytest.fixture
def session() -> Session:
    return Session("192.0.2.1:40000", 0.0, detached_send_queue(), NullTransport())


def test_a_message_is_shown_as_the_line_that_it_is() -> None:
    assert summarize(Outgoing("bob", "hi")) == '{"code":"outgoing","to":"bob","content":"hi"}'
    assert summarize(BareRequest(7, "a")) == '{"request_id":7,"data":"a"}'


def test_nothing_in_it_moves_the_cursor_or_makes_a_line_of_its_own() -> None:
    shown = summarize(Outgoing("bob", "\x1b[2J\nINFO forged\x9b\u202e\u2028"))
    assert shown.isprintable()
    assert "\\u001b[2J\\nINFO forged" in shown


def test_long_content_is_cut() -> None:
    message = OutgoingBroadcast("x" * 60_000)
    shown = summarize(message)
    assert shown.startswith('{"code":"outgoing_broadcast","content":"xxx')
    assert shown.endswith(f"… and {60_000 + 42 - MAX_CHARACTERS} characters more")
    assert len(shown) < 2 * MAX_CHARACTERS


@pytest.mark.parametrize(
    "message",
    [
        Hello("ann", 1, token="a secret of ann's"),
        History(name="ann", token="a secret of ann's"),
    ],
)
def test_a_token_is_not_shown(message: Hello | History) -> None:
    shown = summarize(message)
    assert "secret" not in shown
    assert '"name":"ann"' in shown


def test_of_a_bad_line_its_error_is_shown() -> None:
    line = InvalidLine(Error("unknown_code", "unknown code '\x1b'"))
    assert summarize(line) == "not a message: unknown code '\\x1b'"


def test_a_logging_router_logs_every_message_with_who_sent_it(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    router = LoggingRouter([NullTransport()])
    router.serve(session, [Ping("1")])
    assert caplog.messages == ['192.0.2.1:40000: {"code":"ping","ref":"1"}']
    session.name = "ann"
    router.serve(session, [Outgoing("bob", "hi")])
    assert caplog.messages[1:] == [
        'ann (192.0.2.1:40000): {"code":"outgoing","to":"bob","content":"hi"}'
    ]


class NotingService(NullTransport):
    """A service that notes what was logged when a message is served."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self.shown: list[list[str]] = []
        self.routes = tuple(route(kind, self._note) for kind in FROM_CLIENT.kinds)

    async def _note(self, _session: Session, _message: ClientMessage) -> None:
        self.shown.append([message[-3:-2] for message in self._caplog.messages])


async def test_a_logging_router_logs_each_of_many_messages_once_when_it_is_served(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    service = NotingService(caplog)
    rest = LoggingRouter([service]).serve(session, [Ping("1"), Ping("2"), Ping("3")])
    assert rest is not None
    await rest
    assert service.shown == [["1"], ["1", "2"], ["1", "2", "3"]]


def test_without_it_no_content_reaches_the_log(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    Router([NullTransport()]).serve(session, [Outgoing("bob", "hi")])
    assert caplog.messages == []
