"""Clients that run one after the other under one name, with a state that outlives them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from chatctl.client import Client
from tests.chatctl.scripted import ScriptedServer, ServerConnection


class ProcessKilledError(BaseException):
    """The program is killed in the middle of something."""


Program: TypeAlias = Callable[[Client, ServerConnection, dict[str, Any]], Awaitable[None]]


async def run_client(
    server: ScriptedServer,
    state: Path,
    program: Program,
    *,
    welcome: dict[str, Any] | None = None,
    hello: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """Be ann for as long as `program` takes; it gets the client, the server's end and the hello."""
    with suppress(ProcessKilledError):
        async with server.client(state=state, **options) as client:
            connection = await server.accept()
            welcoming = asyncio.create_task(connection.welcome(**(welcome or {})))
            await client.hello("ann", **(hello or {}))
            await program(client, connection, await welcoming)


async def leave_one_unacknowledged(
    client: Client, connection: ServerConnection, _: dict[str, Any]
) -> None:
    """Send two messages of which the first is acknowledged, and be killed."""
    first = asyncio.create_task(client.send("bob", "one", ref="r1"))
    second = asyncio.create_task(client.broadcast("two", ref="r2"))
    await connection.expect("outgoing")
    await connection.expect("outgoing_broadcast")
    connection.send("ack", id=1, ref="r1")
    await first
    second.cancel()
    raise ProcessKilledError
