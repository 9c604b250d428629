"""What the server tells a run of the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from chatctl.client import Client
from chatctl.errors import ClientError
from chatctl.oneshot import print_events
from chatctl.output import say

if TYPE_CHECKING:
    from chatctl.sharing.run import ShareSession


@asynccontextmanager
async def follow_group(session: "ShareSession", client: Client) -> AsyncIterator[None]:
    """Have the server tell `session` of the others, for as long as the block lasts."""
    group, info, manifest = session.options.group, session.info, session.own
    updates = client.share(group, info.id, port=info.port, size=manifest.size, digest=info.digest)
    session.on_group_change(await anext(updates), client.host)

    async def follow() -> None:
        try:
            async for item in updates:
                session.on_group_change(item, client.host)
        except ClientError as error:
            # The others are known, and the server has no part in what they exchange.
            say(f"{error}; going on without the server")

    tasks = [asyncio.create_task(follow()), asyncio.create_task(print_events(client))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await updates.aclose()
