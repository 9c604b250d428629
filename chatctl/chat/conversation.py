"""A conversation on a terminal: connects a client, a screen and a prompt.

The prompt calls the conversation, the conversation updates the screen and the client, and neither
of these knows the other two.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from chatctl.chat.formatting import StyledLine, banner, user_list
from chatctl.chat.input import ChatClient, parse_input
from chatctl.chat.prompt import Prompt, ask_yes_no
from chatctl.chat.screen import Screen
from chatctl.cli.config import Settings
from chatctl.cli.login import claim_name
from chatctl.cli.output import print_line, report_unacknowledged, say
from chatctl.cli.runner import task_group
from chatctl.client import ChatMessage, Client, ClientError, Reconnected
from chatctl.client.credentials import Credentials
from chatctl.errors import Exit, PartialError
from common.messages.chat import Quit, Who
from common.protocol.text_format import escape_control

_NOTICE_AFTER: Final = 0.3
"""How long (s) a person waits at the end without being told why."""


async def chat(
    settings: Settings, name: str, credentials: Credentials, *, use_suggested: bool
) -> Exit:
    """Chat until the person quits; `use_suggested` takes a free name without asking.

    Messages typed while the server is away are sent when it is back.
    """
    print_line(banner(settings.server))

    async def confirm(taken: str, free: str) -> bool:
        return use_suggested or await ask_yes_no(
            f"the name {escape_control(taken)} is taken; use {escape_control(free)}?"
        )

    client = Client(
        *settings.server,
        state=credentials.directory,
        connect_timeout=settings.timeout,
        answer_timeout=None,
    )
    async with report_unacknowledged(client), client:
        await claim_name(client, name, credentials, confirm, presence=True, within=settings.timeout)
        users = await client.who()
        for line in user_list(users):
            print_line(line)
        conversation = Conversation(client, Screen(client.name, users))
        return await conversation.run(settings.timeout)


class Conversation:
    """Passes input from the prompt to the client, and the client's events to the screen."""

    def __init__(self, client: ChatClient, screen: Screen) -> None:
        self._client = client
        self._screen = screen
        self._prompt = Prompt(self)
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self, give_up_after: float) -> Exit:
        """Chat; at the end wait up to `give_up_after` (s) for acknowledgements.

        Raises PartialError if some are missing then, and the error that ended the session.
        """
        async with task_group() as self._group:
            listener = self._group.create_task(self._listen())
            interrupted = await self._prompt.run()
            if not interrupted:
                await self._wait_for_answers(give_up_after)
            unacknowledged = self._screen.pending
            for task in self._calls:
                task.cancel()
            await self._client.quit()
            await listener
        if interrupted:
            return Exit.INTERRUPTED
        if unacknowledged:
            raise PartialError(f"messages not acknowledged: {unacknowledged}")
        return Exit.OK

    def take_lines(self, columns: int) -> list[StyledLine]:
        """Return the new lines of the screen; the prompt prints them."""
        return self._screen.take_lines(columns)

    def pending_lines(self, columns: int) -> list[StyledLine]:
        """Return the lines that stand above the prompt for now."""
        return self._screen.pending_lines(columns)

    def complete(self, typed: str) -> str:
        """Return `typed` with the name at its start completed."""
        return self._screen.complete(typed)

    def submitted(self, text: str) -> bool:
        """Send a message or run a command; return whether the input stays to be edited."""
        match parse_input(text):
            case None:
                pass
            case Quit():
                self._prompt.close()
            case Who():
                self._start(self._show_present())
            case message if not message.content:
                return True  # a completed name without a text
            case message:
                self._start(self._send(message))
        return False

    def drawn(self) -> None:
        """Mark the events as seen whose lines have reached the terminal."""
        try:
            self._client.seen(*self._screen.shown())
        except ClientError as error:
            self._screen.show_error(error)

    async def _wait_for_answers(self, give_up_after: float) -> None:
        """Wait for the answers that are still missing."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=_NOTICE_AFTER)
        if self._calls:
            answers = "1 answer" if len(self._calls) == 1 else f"{len(self._calls)} answers"
            say(f"waiting for {answers} (Ctrl-C stops)")
            await asyncio.wait(self._calls, timeout=give_up_after)

    async def _listen(self) -> None:
        async for event in self._client.events():
            self._screen.on_event(event)
            if isinstance(event, Reconnected):
                self._start(self._refresh_present())
            self._prompt.refresh()

    def _start(self, call: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _send(self, message: ChatMessage) -> None:
        # Nothing waits between showing the message and writing it to the journal: a message that
        # is shown survives a kill.
        own = self._screen.add_pending(message)
        self._prompt.refresh()
        try:
            self._screen.acknowledged(own, await self._client.submit(message))
        except ClientError as error:
            self._screen.failed(own, error)
        except asyncio.CancelledError:
            self._screen.failed(own, PartialError("not acknowledged"))
            raise
        finally:
            self._prompt.refresh()

    async def _show_present(self) -> None:
        try:
            self._screen.show_present(await self._client.who())
        except ClientError as error:
            self._screen.show_error(error)
        self._prompt.refresh()

    async def _refresh_present(self) -> None:
        """Fetch who joined and left while there was no connection."""
        with suppress(ClientError):
            self._screen.set_present(await self._client.who())
