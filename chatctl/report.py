"""What a conversation without a terminal writes: data to stdout, talk to stderr."""

import sys
from typing import Protocol

from chatctl.errors import ClientError, RefusedError
from chatctl.events import Event, Receipt
from chatctl.lines import banner, user_list
from chatctl.output import print_json, print_line, say
from chatctl.talk import describe
from common.addresses import Address
from common.messages.chat import Incoming, IncomingBroadcast, Outgoing, OutgoingBroadcast, Welcome
from common.text import escape_control, render


class PipeOutput(Protocol):
    """Tells what happens; `line` is the number of the line of input that it answers."""

    wants_presence: bool
    """Whether it reports who comes and goes."""

    def on_connecting(self, server: Address) -> None:
        """Report where we are about to connect."""

    def on_welcome(self, welcome: Welcome, users: list[str]) -> None:
        """Report that we have a name, and who is there."""

    def on_event(self, event: Event) -> None:
        """Report what came without being asked for."""

    def on_users(self, line: int, users: list[str]) -> None:
        """Report the answer to a `who`."""

    def on_acknowledged(
        self, line: int, message: Outgoing | OutgoingBroadcast, receipt: Receipt
    ) -> None:
        """Report that it is in the log."""

    def on_failed(self, line: int, error: ClientError) -> None:
        """Report that it was not sent, or not acknowledged."""


class PlainOutput:
    """One line for each message, as in the text format of the protocol; all else is talk."""

    wants_presence = False

    def on_connecting(self, server: Address) -> None:
        """Print where."""
        _print_stderr(banner(server))

    def on_welcome(self, welcome: Welcome, users: list[str]) -> None:
        """Print who is there."""
        for text in user_list(users):
            _print_stderr(text)

    def on_event(self, event: Event) -> None:
        """Print messages; say what happens to the connection."""
        if isinstance(event, Incoming | IncomingBroadcast):
            print_line(escape_control(str(render(event))))
        elif sentence := describe(event):
            say(sentence)

    def on_users(self, line: int, users: list[str]) -> None:
        """Print the names."""
        for text in user_list(users):
            print_line(text)

    def on_acknowledged(
        self, line: int, message: Outgoing | OutgoingBroadcast, receipt: Receipt
    ) -> None:
        """Say nothing: no news is good news."""

    def on_failed(self, line: int, error: ClientError) -> None:
        """Say which line it was."""
        say(f"line {line}: {escape_control(str(error))}")


class JsonOutput:
    """One JSON object for each event, with a `code` as on the wire."""

    wants_presence = True

    def on_connecting(self, server: Address) -> None:
        """Say nothing: nothing has happened yet."""

    def on_welcome(self, welcome: Welcome, users: list[str]) -> None:
        """Print our name, but not what proves it, and who is there."""
        print_json({"code": "welcome", "name": welcome.name, "users": users})

    def on_event(self, event: Event) -> None:
        """Print the event."""
        print_json(event)

    def on_users(self, line: int, users: list[str]) -> None:
        """Print the names."""
        print_json({"code": "users", "line": line, "users": users})

    def on_acknowledged(
        self, line: int, message: Outgoing | OutgoingBroadcast, receipt: Receipt
    ) -> None:
        """Print the receipt."""
        print_json(
            {
                "code": "ack",
                "line": line,
                "to": message.to if isinstance(message, Outgoing) else "*",
                "id": receipt.id,
                "duplicate": receipt.duplicate,
                "round_trip_ms": round(receipt.round_trip * 1e3, 3),
            }
        )

    def on_failed(self, line: int, error: ClientError) -> None:
        """Print the error; the reason is the server's, or the name of the exit code."""
        reason = error.reason if isinstance(error, RefusedError) else error.exit_code.name.lower()
        print_json({"code": "error", "line": line, "reason": reason, "detail": str(error)})


def _print_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the banner bears no program's name
