"""A conversation without a terminal: lines in, lines out, for pipes and programs."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Final

from chatctl.errors import ClientError, Exit, PartialError
from chatctl.identities import Credentials
from chatctl.oneshot import connect, telling_what_is_kept
from chatctl.output import say
from chatctl.report import Report
from chatctl.settings import Settings
from chatctl.signin import take_name
from chatctl.stdin import read_lines
from chatctl.typed import Talker, deliver
from common.messages.chat import Outgoing, OutgoingBroadcast, Quit, Who
from common.names import key
from common.text import parse_line

_AHEAD: Final = 256
"""Lines sent before the first of them is acknowledged."""


async def chat(
    settings: Settings, name: str, credentials: Credentials, report: Report, *, agrees: bool
) -> Exit:
    """Send standard input and report what comes, until its end; `agrees` to another name."""

    async def consent(_taken: str, _free: str) -> bool:
        return agrees

    report.connecting(settings.server)
    client = connect(settings, reconnect_for=math.inf)
    async with telling_what_is_kept(client), client:
        presence = report.wants_presence
        welcome = await take_name(client, name, credentials, consent, presence=presence)
        if key(client.name) != key(name):
            say(f"{name} is taken, signed in as {client.name}")
        report.welcomed(welcome, await client.who())
        await converse(client, read_lines(), report)
    return Exit.OK


async def converse(client: Talker, lines: AsyncIterator[str], report: Report) -> None:
    """Send each of `lines`, and report what comes until all are acknowledged.

    No line waits for the one before it. Raises PartialError at the end where some were refused or
    not acknowledged, and at once what ends the client for good.
    """
    speaker = _Speaker(client, report)
    try:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(_listen(client, report))
            await speaker.speak(lines, group)
            await client.quit()
            await listening
    except BaseExceptionGroup as error:
        raise error.exceptions[0] from None
    if speaker.failed:
        raise PartialError(f"{speaker.failed} of {speaker.asked} lines were not acknowledged")


async def _listen(client: Talker, report: Report) -> None:
    async for event in client:
        report.heard(event)


class _Speaker:
    """Sends lines and counts how many were `asked`, and how many of these `failed`."""

    def __init__(self, client: Talker, report: Report) -> None:
        self._client = client
        self._report = report
        self._places = asyncio.Semaphore(_AHEAD)
        self.asked = 0
        self.failed = 0

    async def speak(self, lines: AsyncIterator[str], group: asyncio.TaskGroup) -> None:
        """Send `lines` up to their end or a ``quit``; return when all are answered."""
        number = 0
        async for line in lines:
            number += 1
            message = parse_line(line)
            if isinstance(message, Quit):
                break
            if line.strip():
                await self._places.acquire()
                self.asked += 1
                group.create_task(self._ask(number, message))
        for _ in range(_AHEAD):
            await self._places.acquire()

    async def _ask(self, number: int, message: Who | Outgoing | OutgoingBroadcast) -> None:
        try:
            if isinstance(message, Who):
                self._report.present(number, await self._client.who())
            else:
                receipt = await deliver(message, self._client)
                self._report.acknowledged(number, message, receipt)
        except ClientError as error:
            self.failed += 1
            self._report.failed(number, error)
        finally:
            self._places.release()
