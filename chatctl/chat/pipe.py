"""A conversation without a terminal: lines in, lines out, for pipes and programs.

`chat` sends the lines of standard input and prints what arrives, through a `PipeOutput`: plain text
or JSON.
"""

import math
from collections.abc import AsyncIterator
from typing import Protocol

from chatctl.chat.formatting import banner, user_list
from chatctl.chat.input import ChatClient
from chatctl.cli.bulk import MAX_IN_FLIGHT, for_each, number_lines
from chatctl.cli.config import Settings
from chatctl.cli.event_text import describe
from chatctl.cli.input import read_lines
from chatctl.cli.login import claim_name, connect
from chatctl.cli.output import print_json, print_line, print_stderr, report_unacknowledged, say
from chatctl.cli.runner import task_group
from chatctl.client import (
    ChatMessage,
    ClientError,
    Event,
    Incoming,
    IncomingBroadcast,
    Outgoing,
    Receipt,
    RefusedError,
    Welcome,
)
from chatctl.client.credentials import Credentials
from chatctl.errors import Exit, PartialError
from common.messages.chat import Quit, Who
from common.names import fold
from common.protocol.text_format import escape_control, parse_line, render
from common.values import Address


async def chat(
    settings: Settings,
    name: str,
    credentials: Credentials,
    output: "PipeOutput",
    *,
    use_suggested: bool,
) -> Exit:
    """Send standard input and print what arrives; `use_suggested` takes a free name if needed."""

    async def confirm(_taken: str, _free: str) -> bool:
        return use_suggested

    output.on_connecting(settings.server)
    client = connect(settings, reconnect_for=math.inf)
    async with report_unacknowledged(client), client:
        presence = output.wants_presence
        welcome = await claim_name(client, name, credentials, confirm, presence=presence)
        if fold(client.name) != fold(name):
            say(f"{name} is taken, signed in as {client.name}")
        output.on_welcome(welcome, await client.who())
        await run_conversation(client, read_lines(), output)
    return Exit.OK


async def run_conversation(
    client: ChatClient, lines: AsyncIterator[str], output: "PipeOutput"
) -> None:
    """Send each of `lines`, and print what arrives until all are acknowledged.

    No line waits for the one before it. Raises PartialError at the end if some were refused or not
    acknowledged, and at once the error that ended the session.
    """
    sender = _LineSender(client, output)
    async with task_group() as group:
        listener = group.create_task(_listen(client, output))
        await for_each(_commands(lines), sender.send, MAX_IN_FLIGHT)
        await client.quit()
        await listener
    if sender.failed:
        raise PartialError(f"{sender.failed} of {sender.sent} lines were not acknowledged")


class PipeOutput(Protocol):
    """Prints a conversation; `line` is the number of the line of input that is answered."""

    wants_presence: bool
    """Whether it prints who joins and leaves."""

    def on_connecting(self, server: Address) -> None:
        """Print which server we connect to."""

    def on_welcome(self, welcome: Welcome, users: list[str]) -> None:
        """Print our name, and who is present."""

    def on_event(self, event: Event) -> None:
        """Print an event that answers no line."""

    def on_users(self, line: int, users: list[str]) -> None:
        """Print the answer to a `who`."""

    def on_acknowledged(self, line: int, message: ChatMessage, receipt: Receipt) -> None:
        """Print that a message is in the log."""

    def on_failed(self, line: int, error: ClientError) -> None:
        """Print that a message was refused, or not acknowledged."""


class PlainOutput:
    """Prints messages in the text format of the protocol to stdout, all else to stderr."""

    wants_presence = False

    def on_connecting(self, server: Address) -> None:
        """Print the address."""
        print_stderr(banner(server))

    def on_welcome(self, welcome: Welcome, users: list[str]) -> None:
        """Print who is present."""
        for text in user_list(users):
            print_stderr(text)

    def on_event(self, event: Event) -> None:
        """Print messages to stdout, and changes of the connection to stderr."""
        if isinstance(event, Incoming | IncomingBroadcast):
            print_line(escape_control(str(render(event))))
        elif sentence := describe(event):
            say(sentence)

    def on_users(self, line: int, users: list[str]) -> None:
        """Print the names."""
        for text in user_list(users):
            print_line(text)

    def on_acknowledged(self, line: int, message: ChatMessage, receipt: Receipt) -> None:
        """Print nothing."""

    def on_failed(self, line: int, error: ClientError) -> None:
        """Print the number of the line, and the error."""
        say(f"line {line}: {escape_control(str(error))}")


class JsonOutput:
    """Prints one JSON object for each event, with a `code` as on the wire."""

    wants_presence = True

    def on_connecting(self, server: Address) -> None:
        """Print nothing."""

    def on_welcome(self, welcome: Welcome, users: list[str]) -> None:
        """Print our name and who is present, but not our token."""
        print_json({"code": "welcome", "name": welcome.name, "users": users})

    def on_event(self, event: Event) -> None:
        """Print the event."""
        print_json(event)

    def on_users(self, line: int, users: list[str]) -> None:
        """Print the names."""
        print_json({"code": "users", "line": line, "users": users})

    def on_acknowledged(self, line: int, message: ChatMessage, receipt: Receipt) -> None:
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


class _LineSender:
    """Sends lines, and counts how many were `sent` and how many of these `failed`."""

    def __init__(self, client: ChatClient, output: PipeOutput) -> None:
        self._client = client
        self._output = output
        self.sent = 0
        self.failed = 0

    async def send(self, command: tuple[int, Who | ChatMessage]) -> None:
        """Send one line, and print the result."""
        number, message = command
        self.sent += 1
        try:
            if isinstance(message, Who):
                self._output.on_users(number, await self._client.who())
            else:
                receipt = await self._client.submit(message)
                self._output.on_acknowledged(number, message, receipt)
        except ClientError as error:
            self.failed += 1
            self._output.on_failed(number, error)


async def _commands(lines: AsyncIterator[str]) -> AsyncIterator[tuple[int, Who | ChatMessage]]:
    """Yield the command on each line with its number, up to the end or a ``quit``."""
    async for number, line in number_lines(lines):
        command = parse_line(line)
        if isinstance(command, Quit):
            return
        yield number, command


async def _listen(client: ChatClient, output: PipeOutput) -> None:
    async for event in client:
        output.on_event(event)
