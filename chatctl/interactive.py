"""A conversation on a terminal: a client on one side, a prompt on the other."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from chatctl.client import Client
from chatctl.errors import ClientError, Exit, PartialError
from chatctl.events import Reconnected
from chatctl.identities import Credentials
from chatctl.lines import banner, listing
from chatctl.oneshot import telling_what_is_kept
from chatctl.output import print_line, say
from chatctl.prompt import Prompt, ask
from chatctl.screen import Screen
from chatctl.settings import Settings
from chatctl.signin import take_name
from chatctl.typed import Talker, deliver, read
from common.messages.chat import Outgoing, OutgoingBroadcast, Quit, Who
from common.text import visible

_NOTICEABLE: Final = 0.3
"""Seconds (s) of waiting for which a person wants to be told the reason."""


async def chat(settings: Settings, name: str, credentials: Credentials, *, agrees: bool) -> Exit:
    """Talk until the person leaves; `agrees` to another name without being asked.

    What is typed while the server is away waits until it is back.
    """
    print_line(banner(settings.server))

    async def consent(taken: str, free: str) -> bool:
        return agrees or await ask(f"the name {visible(taken)} is taken; use {visible(free)}?")

    client = Client(
        *settings.server,
        state=credentials.directory,
        connect_timeout=settings.timeout,
        answer_timeout=None,
    )
    async with telling_what_is_kept(client), client:
        await take_name(client, name, credentials, consent, presence=True, within=settings.timeout)
        users = await client.who()
        for line in listing(users):
            print_line(line)
        conversation = Conversation(client, Screen(client.name, users))
        return await conversation.run(settings.timeout)


class Conversation:
    """Carries lines from the prompt to the client, and what the client tells to the screen."""

    def __init__(self, client: Talker, screen: Screen) -> None:
        self._client = client
        self._screen = screen
        self._prompt = Prompt(screen, self._accept, self._drawn)
        self._asking: set[asyncio.Task[None]] = set()

    async def run(self, patience: float) -> Exit:
        """Talk; at the end wait up to `patience` (s) for what is not acknowledged.

        Raises PartialError where that is not enough, and what ended the client for good.
        """
        try:
            async with asyncio.TaskGroup() as self._group:
                listening = self._group.create_task(self._listen())
                interrupted = await self._prompt.run()
                if not interrupted:
                    await self._settle(patience)
                lost = self._screen.waiting
                for task in self._asking:
                    task.cancel()
                await self._client.quit()
                await listening
        except BaseExceptionGroup as error:
            raise error.exceptions[0] from None
        if interrupted:
            return Exit.INTERRUPTED
        if lost:
            raise PartialError(f"messages that were not acknowledged: {lost}")
        return Exit.OK

    async def _settle(self, patience: float) -> None:
        """Wait for the answers that are still due."""
        if self._asking:
            await asyncio.wait(self._asking, timeout=_NOTICEABLE)
        if self._asking:
            answers = "1 answer" if len(self._asking) == 1 else f"{len(self._asking)} answers"
            say(f"waiting for {answers}; Ctrl-C gives up")
            await asyncio.wait(self._asking, timeout=patience)

    async def _listen(self) -> None:
        async for event in self._client.events():
            self._screen.heard(event)
            if isinstance(event, Reconnected):
                self._start(self._refresh_names())
            self._prompt.refresh()

    def _drawn(self) -> None:
        try:
            self._client.seen(*self._screen.shown())
        except ClientError as error:
            self._screen.show_failure(error)

    def _accept(self, text: str) -> bool:
        match read(text):
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

    def _start(self, asking: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(asking)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _send(self, message: Outgoing | OutgoingBroadcast) -> None:
        # In one step with keeping it: what is seen to be on its way must not be lost by a kill.
        own = self._screen.typed(message)
        self._prompt.refresh()
        try:
            self._screen.acknowledged(own, await deliver(own.message, self._client))
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
            self._screen.show_failure(error)
        self._prompt.refresh()

    async def _refresh_names(self) -> None:
        """Learn who came and went while nobody told us."""
        with suppress(ClientError):
            self._screen.present(await self._client.who())
