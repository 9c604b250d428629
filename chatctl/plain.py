"""A conversation without a terminal: lines in, lines out, for pipes and programs."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Final

from chatctl.errors import ClientError, Exit, PartialError
from chatctl.identities import Credentials
from chatctl.oneshot import connect, report_unacknowledged
from chatctl.output import say
from chatctl.report import PipeOutput
from chatctl.settings import Settings
from chatctl.signin import claim_name
from chatctl.stdin import read_lines
from chatctl.typed import ChatClient, send_message
from common.messages.chat import Outgoing, OutgoingBroadcast, Quit, Who
from common.names import fold
from common.text import parse_line

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
