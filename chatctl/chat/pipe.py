"""A conversation without a terminal: lines in, lines out, for pipes and programs.

What a conversation without a terminal writes: data to stdout, talk to stderr.
"""

import asyncio
import math
import sys
from collections.abc import AsyncIterator
from typing import Final, Protocol

from chatctl.chat.formatting import banner, user_list
from chatctl.chat.input import ChatClient, send_message
from chatctl.cli.config import Settings
from chatctl.cli.event_text import describe
from chatctl.cli.input import read_lines
from chatctl.cli.login import claim_name, connect, report_unacknowledged
from chatctl.cli.output import print_json, print_line, say
from chatctl.client.credentials import Credentials
from chatctl.client.events import Event, Receipt
from chatctl.errors import ClientError, Exit, PartialError, RefusedError
from common.messages.chat import (
    Incoming,
    IncomingBroadcast,
    Outgoing,
    OutgoingBroadcast,
    Quit,
    Welcome,
    Who,
)
from common.names import fold
from common.protocol.text_format import escape_control, parse_line, render
from common.values import Address


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


_MAX_IN_FLIGHT: Final = 256
"""Lines sent before the first of them is acknowledged."""


async def chat(
    settings: Settings,
    name: str,
    credentials: Credentials,
    output: PipeOutput,
    *,
    use_suggested: bool,
) -> Exit:
    """Send standard input and report what comes, until its end; `use_suggested` takes another."""

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
    client: ChatClient, lines: AsyncIterator[str], output: PipeOutput
) -> None:
    """Send each of `lines`, and report what comes until all are acknowledged.

    No line waits for the one before it. Raises PartialError at the end where some were refused or
    not acknowledged, and at once what ends the client for good.
    """
    sender = _LineSender(client, output)
    try:
        async with asyncio.TaskGroup() as group:
            listener = group.create_task(_listen(client, output))
            await sender.send(lines, group)
            await client.quit()
            await listener
    except BaseExceptionGroup as error:
        raise error.exceptions[0] from None
    if sender.failed:
        raise PartialError(f"{sender.failed} of {sender.sent} lines were not acknowledged")


async def _listen(client: ChatClient, output: PipeOutput) -> None:
    async for event in client:
        output.on_event(event)


class _LineSender:
    """Sends lines and counts how many were `sent`, and how many of these `failed`."""

    def __init__(self, client: ChatClient, output: PipeOutput) -> None:
        self._client = client
        self._output = output
        self._permits = asyncio.Semaphore(_MAX_IN_FLIGHT)
        self.sent = 0
        self.failed = 0

    async def send(self, lines: AsyncIterator[str], group: asyncio.TaskGroup) -> None:
        """Send `lines` up to their end or a ``quit``; return when all are answered."""
        number = 0
        async for line in lines:
            number += 1
            message = parse_line(line)
            if isinstance(message, Quit):
                break
            if line.strip():
                await self._permits.acquire()
                self.sent += 1
                group.create_task(self._send_one(number, message))
        for _ in range(_MAX_IN_FLIGHT):
            await self._permits.acquire()

    async def _send_one(self, number: int, message: Who | Outgoing | OutgoingBroadcast) -> None:
        try:
            if isinstance(message, Who):
                self._output.on_users(number, await self._client.who())
            else:
                receipt = await send_message(message, self._client)
                self._output.on_acknowledged(number, message, receipt)
        except ClientError as error:
            self.failed += 1
            self._output.on_failed(number, error)
        finally:
            self._permits.release()
