"""A conversation on a terminal: a client on one side, a prompt on the other."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from chatctl.chat.formatting import banner, user_list
from chatctl.chat.input import ChatClient, parse_input, send_message
from chatctl.chat.prompt import Prompt, ask_yes_no
from chatctl.chat.screen import Screen
from chatctl.cli.config import Settings
from chatctl.cli.login import claim_name, report_unacknowledged
from chatctl.cli.output import print_line, say
from chatctl.client import Client
from chatctl.client.credentials import Credentials
from chatctl.client.events import Reconnected
from chatctl.errors import ClientError, Exit, PartialError
from common.messages.chat import Outgoing, OutgoingBroadcast, Quit, Who
from common.protocol.text_format import escape_control

_NOTICE_AFTER: Final = 0.3
"""Seconds (s) of waiting for which a person wants to know the reason."""


async def chat(
    settings: Settings, name: str, credentials: Credentials, *, use_suggested: bool
) -> Exit:
    """Talk until the person leaves; `use_suggested` takes another name without asking.

    What is typed while the server is away waits until it is back.
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
    """Carries lines from the prompt to the client, and the client's events to the screen."""

    def __init__(self, client: ChatClient, screen: Screen) -> None:
        self._client = client
        self._screen = screen
        self._prompt = Prompt(screen, self._on_input, self._on_drawn)
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self, give_up_after: float) -> Exit:
        """Talk; at the end wait up to `give_up_after` (s) for what is not acknowledged.

        Raises PartialError where that is not enough, and what ended the client for good.
        """
        try:
            async with asyncio.TaskGroup() as self._group:
                listener = self._group.create_task(self._listen())
                interrupted = await self._prompt.run()
                if not interrupted:
                    await self._wait_for_answers(give_up_after)
                unacknowledged = self._screen.pending
                for task in self._calls:
                    task.cancel()
                await self._client.quit()
                await listener
        except BaseExceptionGroup as error:
            raise error.exceptions[0] from None
        if interrupted:
            return Exit.INTERRUPTED
        if unacknowledged:
            raise PartialError(f"messages that were not acknowledged: {unacknowledged}")
        return Exit.OK

    async def _wait_for_answers(self, give_up_after: float) -> None:
        """Wait for the answers that are still due."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=_NOTICE_AFTER)
        if self._calls:
            answers = "1 answer" if len(self._calls) == 1 else f"{len(self._calls)} answers"
            say(f"waiting for {answers}; Ctrl-C gives up")
            await asyncio.wait(self._calls, timeout=give_up_after)

    async def _listen(self) -> None:
        async for event in self._client.events():
            self._screen.on_event(event)
            if isinstance(event, Reconnected):
                self._start(self._refresh_names())
            self._prompt.refresh()

    def _on_drawn(self) -> None:
        try:
            self._client.seen(*self._screen.shown())
        except ClientError as error:
            self._screen.show_error(error)

    def _on_input(self, text: str) -> bool:
        match parse_input(text):
            case None:
                pass
            case Quit():
                self._prompt.close()
            case Who():
                self._start(self._show_names())
            case message if not message.content:
                return True  # a name that was completed, and nothing said yet
            case message:
                self._start(self._send(message))
        return False

    def _start(self, call: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _send(self, message: Outgoing | OutgoingBroadcast) -> None:
        # In one step with keeping it: what is seen to be on its way must not be lost by a kill.
        own = self._screen.add_pending(message)
        self._prompt.refresh()
        try:
            self._screen.acknowledged(own, await send_message(own.message, self._client))
        except ClientError as error:
            self._screen.failed(own, error)
        except asyncio.CancelledError:
            self._screen.failed(own, PartialError("not acknowledged"))
            raise
        finally:
            self._prompt.refresh()

    async def _show_names(self) -> None:
        try:
            self._screen.show_present(await self._client.who())
        except ClientError as error:
            self._screen.show_error(error)
        self._prompt.refresh()

    async def _refresh_names(self) -> None:
        """Learn who came and went while there was no connection."""
        with suppress(ClientError):
            self._screen.set_present(await self._client.who())
