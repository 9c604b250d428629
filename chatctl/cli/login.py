"""Taking a name, or, if the person confirms, one like it.

What commands that come and go have in common: a client, and a name that is free.
"""

import asyncio
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Final, Protocol, TypeAlias

from chatctl.cli.config import Settings
from chatctl.cli.event_text import Overflow, describe, describe_unacknowledged
from chatctl.cli.output import say
from chatctl.client import MAX_REQUESTS, Client, HistoryReader
from chatctl.client.credentials import Credentials, NameInUseError, default_directory
from chatctl.client.events import Event
from chatctl.errors import AnswerTimeoutError, ClientError, RefusedError
from common import names
from common.messages.base import Error
from common.messages.chat import Welcome
from common.protocol.text_format import escape_control

ConfirmName: TypeAlias = Callable[[str, str], Awaitable[bool]]
"""Says whether, where the first name is taken, the second will do."""

_TRIES: Final = 100
_TAKEN: Final = frozenset({"name_taken", "unauthorized"})


class LoginClient(Protocol):
    """What logging in needs of a client."""

    warning: str
    """What is wrong with what was kept for the name."""

    async def hello(self, name: str, *, presence: bool, resume: bool) -> Welcome:
        """Take a name, and keep others of our programs from it."""


async def claim_name(
    client: LoginClient,
    wanted: str,
    credentials: Credentials,
    confirm: ConfirmName,
    *,
    presence: bool = False,
    resume: bool = True,
    within: float | None = None,
) -> Welcome:
    """Log in as `wanted` or, if confirmed, as a variant; says what is wrong with what was kept.

    Each answer may take `within` s. Raises RefusedError, with the suggestion, where it is not
    confirmed, and what `hello` raises.
    """
    name = taken = wanted
    tried: set[str] = set()
    suggested: str | None = None
    while True:
        if credentials.is_free(name):
            if name != wanted and not await confirm(taken, name):
                raise _not_confirmed(taken, name)
            try:
                async with _time_limit(within):
                    welcome = await client.hello(name, presence=presence, resume=resume)
            except NameInUseError:  # another program of ours was faster
                taken = name
            except RefusedError as error:
                if error.reason not in _TAKEN:
                    raise
                taken = name
                if name == wanted:  # a name like one like it would be an odd one
                    suggested = error.suggestion
            else:
                if client.warning:
                    say(client.warning)
                return welcome
        tried.add(name)
        name = next_name(wanted, tried, suggested, credentials.has_token)


def next_name(
    wanted: str, tried: Container[str], suggested: str | None, has_token: Callable[[str], bool]
) -> str:
    """Return the name like `wanted` to try next; raises NameInUseError when a hundred were tried.

    One that we hold comes before the one that the server `suggested`: that would be kept for us
    too, and after a hundred commands there would be a hundred names.
    """
    untried = [name for name in islice(names.suggestions(wanted), _TRIES) if name not in tried]
    if not untried:
        raise NameInUseError(f"{wanted} and {_TRIES} names like it are taken; choose another")
    for name in untried:
        if has_token(name):
            return name
    return untried[0] if suggested is None or suggested in tried else suggested


@asynccontextmanager
async def _time_limit(within: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(within):
            yield
    except TimeoutError:
        raise AnswerTimeoutError(f"no answer came within {within:g} s") from None


def _not_confirmed(taken: str, free: str) -> RefusedError:
    detail = (
        f"the name {escape_control(taken)} is taken; use {escape_control(free)}, or --suggested"
    )
    return RefusedError(Error("name_taken", detail, name=taken, suggestion=free))


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
