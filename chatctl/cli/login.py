"""Logging in: a connected client with a name, for each kind of command.

`login_session`, `reading_session` and `history_session` connect and log in. `claim_name` takes a
name or, if the person confirms, a free one like it.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final, Protocol, TypeAlias

from chatctl.cli.config import Settings
from chatctl.cli.output import print_events, report_unacknowledged, say
from chatctl.client import (
    MAX_REQUESTS,
    AnswerTimeoutError,
    Client,
    Error,
    HistoryReader,
    NameInUseError,
    RefusedError,
    Welcome,
)
from chatctl.client.credentials import Credentials, default_directory
from common import names
from common.protocol.text_format import escape_control

ConfirmName: TypeAlias = Callable[[str, str], Awaitable[bool]]
"""Given a taken name and a free one, tells whether to use the free one."""

_TRIES: Final = 100
_TAKEN: Final = frozenset({"name_taken", "unauthorized"})


class LoginClient(Protocol):
    """What logging in needs of `chatctl.client.Client`."""

    warning: str
    """What is wrong with the state of the name, in words for a person."""

    async def hello(self, name: str, *, presence: bool, resume: bool) -> Welcome:
        """Log in as `name`, and lock it against our other programs."""


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
    """Log in as `wanted` or, if `confirm` agrees, as a free variant; print the client's warning.

    Each answer may take `within` s. Raises RefusedError, with the suggestion, if the variant is
    not confirmed, and what `hello` raises.
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
            except NameInUseError:  # another of our programs was faster
                taken = name
            except RefusedError as error:
                if error.reason not in _TAKEN:
                    raise
                taken = name
                if name == wanted:  # a variant of a variant would look odd
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
    """Return the variant of `wanted` to try next; raises NameInUseError after a hundred.

    A name that we own comes before the one that the server `suggested`. The server would reserve
    that one for us too, and after a hundred commands we would own a hundred names.
    """
    untried = [name for name in islice(names.suggestions(wanted), _TRIES) if name not in tried]
    if not untried:
        raise NameInUseError(f"{wanted} and {_TRIES} names like it are taken; choose another name")
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
        f"the name {escape_control(taken)} is taken; try {escape_control(free)}, "
        "or add --suggested to take a free one"
    )
    return RefusedError(Error("name_taken", detail, name=taken, suggestion=free))


def connect(
    settings: Settings, reconnect_for: float | None = None, max_requests: int = MAX_REQUESTS
) -> Client:
    """Return a client for the server; `reconnect_for` (s) defaults to the timeout."""
    return Client(
        *settings.server,
        state=default_directory(),
        connect_timeout=settings.timeout,
        answer_timeout=settings.timeout,
        reconnect_for=settings.timeout if reconnect_for is None else reconnect_for,
        max_requests=max_requests,
    )


def open_credentials(settings: Settings) -> Credentials:
    """Return the credentials of this person for the server."""
    return Credentials(settings.server, default_directory())


@asynccontextmanager
async def reading_session(settings: Settings, name: str | None) -> AsyncIterator[Client]:
    """Connect and log in as `name`, or a free one like it, for a command that reads messages.

    Messages start after the last one that a command has read under this name. A lost connection is
    restored, however long that takes. Another name is reported on stderr. Raises
    CannotConnectError, and RefusedError if the name itself is not allowed.
    """
    client = connect(settings, reconnect_for=math.inf)
    async with report_unacknowledged(client), client:
        await _claim_any_name(client, settings, name or settings.name, resume=True)
        yield client


@asynccontextmanager
async def login_session(
    settings: Settings, name: str | None, *, exactly: bool = False
) -> AsyncIterator[Client]:
    """Connect and log in for a command that reads no messages; print connection events.

    `exactly` takes no name but `name`. Raises like `reading_session`, and NameInUseError.
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
    """Connect for a command that reads the history; raises like `login_session`.

    If another of our programs uses the name, read without logging in.
    """
    wanted = name or settings.name
    credentials = open_credentials(settings)
    if credentials.is_free(wanted):
        async with login_session(settings, wanted, exactly=True) as client:
            yield client
    else:
        async with connect(settings) as client:
            yield HistoryReader(client, wanted, credentials.token_of(wanted))


async def _claim_any_name(client: Client, settings: Settings, wanted: str, *, resume: bool) -> None:
    await claim_name(client, wanted, open_credentials(settings), _accept_any, resume=resume)
    if names.fold(client.name) != names.fold(wanted):
        say(f"{wanted} is taken, signed in as {client.name}")


async def _accept_any(_taken: str, _free: str) -> bool:
    return True
