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
    from chatctl.sharing.run import Run


@asynccontextmanager
async def introduced(run: "Run", client: Client) -> AsyncIterator[None]:
    """Have the server tell `run` of the others, for as long as the block lasts."""
    group, card, manifest = run.wish.group, run.card, run.own
    news = client.share(group, card.id, port=card.port, size=manifest.size, digest=card.digest)
    run.hear(await anext(news), client.host)

    async def listen_on() -> None:
        try:
            async for item in news:
                run.hear(item, client.host)
        except ClientError as failure:
            # The others are known, and the server has no part in what they exchange.
            say(f"{failure}; going on without the server")

    tasks = [asyncio.create_task(listen_on()), asyncio.create_task(print_events(client))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await news.aclose()
