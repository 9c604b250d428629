"""Taking a name, or, if the person confirms, one like it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final, Protocol, TypeAlias

from chatctl.errors import AnswerTimeoutError, RefusedError
from chatctl.identities import Credentials, NameInUseError
from chatctl.output import say
from common import names
from common.messages.base import Error
from common.messages.chat import Welcome
from common.text import escape_control

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
