"""What commands that come and go have in common: a client, and a name that is free."""

import asyncio
import math
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from chatctl.bystander import HistoryReader
from chatctl.client import MAX_REQUESTS, Client
from chatctl.errors import ClientError
from chatctl.events import Event
from chatctl.identities import Credentials, default_directory
from chatctl.output import say
from chatctl.settings import Settings
from chatctl.signin import claim_name
from chatctl.talk import Overflow, describe, describe_unacknowledged
from common import names


def connect(
    settings: Settings, reconnect_for: float | None = None, max_requests: int = MAX_REQUESTS
) -> Client:
    """Return a client for the server; `reconnect_for` (s) is the timeout where not given."""
    return Client(
        *settings.server,
        state=default_directory(os.environ),
        connect_timeout=settings.timeout,
        answer_timeout=settings.timeout,
        reconnect_for=settings.timeout if reconnect_for is None else reconnect_for,
        max_requests=max_requests,
    )


@asynccontextmanager
async def reading_session(settings: Settings, name: str | None) -> AsyncIterator[Client]:
    """Connect and take `name`, or a free one like it, for a command that reads what comes.

    It begins with what came since the last command that read under this name, and a lost connection
    comes back, however long that takes. Says so on stderr where the name is another. Raises
    CannotConnectError, and RefusedError where the name itself is not allowed.
    """
    client = connect(settings, reconnect_for=math.inf)
    async with report_unacknowledged(client), client:
        await _claim_any_name(client, settings, name or settings.name, resume=True)
        yield client


@asynccontextmanager
async def login_session(
    settings: Settings, name: str | None, *, exactly: bool = False
) -> AsyncIterator[Client]:
    """Connect and take a name for a command that reads nothing; says what happens meanwhile.

    `exactly` takes no other than `name`. Raises like `reading_session`, and NameInUseError.
    """
    wanted = name or settings.name
    client = connect(settings)
    async with report_unacknowledged(client), client:
        if exactly:
            await client.hello(wanted, resume=False)
            if client.warning:
                say(client.warning)
        else:
            await _claim_any_name(client, settings, wanted, resume=False)
        printing = asyncio.create_task(print_events(client))
        try:
            yield client
            await client.quit()
            await printing
        finally:
            printing.cancel()


@asynccontextmanager
async def history_session(
    settings: Settings, name: str | None
) -> AsyncIterator["Client | HistoryReader"]:
    """Connect for a command that reads what was said; raises like `login_session`.

    Where another program of ours has the name it is left there.
    """
    wanted = name or settings.name
    credentials = Credentials(settings.server, default_directory(os.environ))
    if credentials.is_free(wanted):
        async with login_session(settings, wanted, exactly=True) as client:
            yield client
    else:
        async with connect(settings) as client:
            yield HistoryReader(client, wanted, credentials.token_of(wanted))


@asynccontextmanager
async def report_unacknowledged(client: Client) -> AsyncIterator[None]:
    """Say at the end how many messages wait for the next time."""
    try:
        yield
    finally:
        if client.name and client.unacknowledged:
            say(describe_unacknowledged(client.unacknowledged, client.name))


async def _claim_any_name(client: Client, settings: Settings, wanted: str, *, resume: bool) -> None:
    credentials = Credentials(settings.server, default_directory(os.environ))
    await claim_name(client, wanted, credentials, _accept_any, resume=resume)
    if names.fold(client.name) != names.fold(wanted):
        say(f"{wanted} is taken, signed in as {client.name}")


async def print_events(client: Client, notice: Callable[[Event], object] | None = None) -> None:
    """Say what happens to the connection, until it ends; `notice` sees every event, too."""
    overflow = Overflow()
    try:
        # What ends it for good is raised to whoever waits for an answer.
        with suppress(ClientError):
            async for event in client:
                if notice is not None:
                    notice(event)
                if not overflow.absorb(event) and (sentence := describe(event)):
                    say(sentence)
    finally:
        if sentence := str(overflow):
            say(sentence)


async def _accept_any(_taken: str, _free: str) -> bool:
    return True
