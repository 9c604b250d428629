"""Clients that live one after the other under one name, with a state that outlives them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from chatctl.client import Client
from tests.chatctl.scripted import Peer, Server


class Killed(BaseException):
    """The program ends in the middle of something."""


Life: TypeAlias = Callable[[Client, Peer, dict[str, Any]], Awaitable[None]]


async def live(
    server: Server,
    state: Path,
    life: Life,
    *,
    welcome: dict[str, Any] | None = None,
    hello: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """Be ann for as long as `life` takes; it gets the client, the server's end and the hello."""
    with suppress(Killed):
        async with server.client(state=state, **options) as client:
            peer = await server.accept()
            welcoming = asyncio.create_task(peer.welcome(**(welcome or {})))
            await client.hello("ann", **(hello or {}))
            await life(client, peer, await welcoming)


async def die_with_an_open_question(client: Client, peer: Peer, _: dict[str, Any]) -> None:
    """Send two messages of which the first is acknowledged, and be killed."""
    first = asyncio.create_task(client.send("bob", "one", ref="r1"))
    second = asyncio.create_task(client.broadcast("two", ref="r2"))
    await peer.expect("outgoing")
    await peer.expect("outgoing_broadcast")
    peer.say("ack", id=1, ref="r1")
    await first
    second.cancel()
    raise Killed
