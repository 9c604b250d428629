"""Taking a name, or with the person's consent one like it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Final, Protocol, TypeAlias

from chatctl.errors import AnswerTimeoutError, RefusedError
from chatctl.identities import Identities, NameInUseError
from common import names
from common.messages.base import Error
from common.messages.chat import Welcome

Consent: TypeAlias = Callable[[str, str], Awaitable[bool]]
"""Says whether, where the first name is taken, the second will do."""


class Greeter(Protocol):
    """What signing in needs of a client."""

    async def hello(self, name: str, *, token: str, presence: bool) -> Welcome:
        """Take a name."""


_TAKEN: Final = frozenset({"name_taken", "unauthorized"})
_OWN_VARIANTS: Final = 8
"""Variants looked at for one that is ours already."""


async def take_name(
    client: Greeter,
    wanted: str,
    identities: Identities,
    held: ExitStack,
    consent: Consent,
    *,
    presence: bool = False,
    within: float | None = None,
) -> Welcome:
    """Sign in as `wanted` or, with consent, as a variant, which is ours alone until `held` closes.

    Each answer may take `within` s. Raises RefusedError, with the suggestion, where consent is not
    given, and what `hello` raises.
    """
    taken, tried, offers = wanted, set[str](), list[str]()
    for name in _candidates(wanted, identities, offers):
        if name in tried:
            continue
        tried.add(name)
        with ExitStack() as attempt:
            try:
                token = attempt.enter_context(identities.borrow(name))
            except NameInUseError:
                continue
            if name != wanted and not await consent(taken, name):
                detail = f"the name {taken} is taken; use {name}, or --suggested"
                raise RefusedError(Error("name_taken", detail, name=taken, suggestion=name))
            try:
                async with asyncio.timeout(within):
                    welcome = await client.hello(name, token=token, presence=presence)
            except TimeoutError:
                raise AnswerTimeoutError(f"no answer came within {within:g} s") from None
            except RefusedError as refusal:
                if refusal.reason not in _TAKEN:
                    raise
                taken = name
                offers += filter(None, [refusal.suggestion])
            else:
                held.push(attempt.pop_all())
                return welcome
    raise AssertionError("there is always one more variant")


def _candidates(wanted: str, identities: Identities, offers: list[str]) -> Iterator[str]:
    """Yield names to try; `offers` grows while one does.

    A name that is ours from another time comes before one that would be reserved for us anew.
    """
    yield wanted
    own = islice(names.variants(wanted), _OWN_VARIANTS)
    yield from [name for name in own if identities.holds(name)]
    yield from offers
    yield from names.variants(wanted)
