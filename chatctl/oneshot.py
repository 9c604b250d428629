"""What commands that come and go have in common: a client, and a name that is free."""

import os
from collections.abc import AsyncIterator, Callable, Container
from contextlib import ExitStack, asynccontextmanager
from itertools import islice
from typing import Final

from chatctl.client import MAX_REQUESTS, Client
from chatctl.errors import RefusedError
from chatctl.identities import Identities, NameInUseError, default_directory
from chatctl.output import say
from chatctl.settings import Settings
from common import names

_TRIES: Final = 100
_TAKEN: Final = frozenset({"name_taken", "unauthorized"})


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
            await _take_name(client, wanted, identities, held)
            yield client


async def _take_name(client: Client, wanted: str, identities: Identities, held: ExitStack) -> None:
    tried: set[str] = set()
    name = wanted
    while True:
        offered = None
        with ExitStack() as attempt:
            try:
                token = attempt.enter_context(identities.borrow(name))
                await client.hello(name, token=token)
            except NameInUseError:
                pass
            except RefusedError as refusal:
                if refusal.reason not in _TAKEN:
                    raise
                offered = refusal.suggestion
            else:
                held.push(attempt.pop_all())
                break
        tried.add(name)
        name = next_name(wanted, tried, offered, identities.holds)
    if name != wanted:
        say(f"{wanted} is taken, signed in as {client.name}")


def next_name(
    wanted: str, tried: Container[str], offered: str | None, holds: Callable[[str], bool]
) -> str:
    """Return the name like `wanted` to try next; raises NameInUseError when a hundred were tried.

    One that we hold comes before the one that the server `offered`: that would be kept for us too,
    and after a hundred commands there would be a hundred names.
    """
    untried = [name for name in islice(names.variants(wanted), _TRIES) if name not in tried]
    if not untried:
        raise NameInUseError(f"{wanted} and {_TRIES} names like it are taken; choose another")
    for name in untried:
        if holds(name):
            return name
    return untried[0] if offered is None or offered in tried else offered
