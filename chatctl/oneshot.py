"""What commands that come and go have in common: a client, and a name that is free."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress

from chatctl.client import MAX_REQUESTS, Client
from chatctl.errors import ClientError
from chatctl.events import Event
from chatctl.identities import Identities, default_directory
from chatctl.output import say
from chatctl.settings import Settings
from chatctl.signin import take_name
from chatctl.talk import describe
from common import names


def connect(
    settings: Settings, reconnect_for: float | None = None, max_requests: int = MAX_REQUESTS
) -> Client:
    """Return a client for the server; `reconnect_for` (s) is the timeout where not given."""
    return Client(
        *settings.server,
        connect_timeout=settings.timeout,
        answer_timeout=settings.timeout,
        reconnect_for=settings.timeout if reconnect_for is None else reconnect_for,
        max_requests=max_requests,
    )


@asynccontextmanager
async def signed_in(
    settings: Settings, name: str | None, reconnect_for: float | None = None
) -> AsyncIterator[Client]:
    """Connect and take `name`, or a free one like it; says so on stderr where it is another.

    Raises CannotConnectError, and RefusedError where the name itself is not allowed.
    """
    wanted = name or settings.name
    identities = Identities(settings.server, default_directory(os.environ))
    async with connect(settings, reconnect_for) as client:
        with ExitStack() as held:
            await take_name(client, wanted, identities, held, _any_will_do)
            if names.key(client.name) != names.key(wanted):
                say(f"{wanted} is taken, signed in as {client.name}")
            yield client


async def tell(client: Client, notice: Callable[[Event], object] | None = None) -> None:
    """Say what happens to the connection, until it ends; `notice` sees every event, too."""
    # What ends it for good is raised to whoever waits for an answer.
    with suppress(ClientError):
        async for event in client:
            if notice is not None:
                notice(event)
            if remark := describe(event):
                say(remark)


async def _any_will_do(_taken: str, _free: str) -> bool:
    return True
