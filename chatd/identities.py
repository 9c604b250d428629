"""Who may use a name: trust on first use, a token to come back, and a time of reserve."""

import hashlib
import hmac
import secrets
from typing import Final, TypeVar

from chatd.clock import Clock
from chatd.log.port import Holder, Log
from common import names
from common.messages.base import Reason

_TOKEN_BYTES: Final = 24
_IDENTITY_BITS: Final = 62
_SECOND_NS: Final = 1_000_000_000
_MANY: Final = 100_000

Origin = TypeVar("Origin")


def new_identity() -> int:
    """Return an identity that no other has: random, so that nobody must be asked for it."""
    return secrets.randbits(_IDENTITY_BITS) | 1


class NameHeldError(Exception):
    """The name is kept for its holder, and whoever asked has no token or another."""

    def __init__(self, name: str, *, is_token_wrong: bool) -> None:
        super().__init__(
            f"the name {name} is kept for its holder, whose token this is not"
            if is_token_wrong
            else f"the name {name} is kept for its holder"
        )
        self.reason: Reason = "unauthorized" if is_token_wrong else "name_taken"


class Identities:
    """The holders of names, kept in the log; `reserve` is in seconds (s)."""

    def __init__(self, log: Log[Origin], clock: Clock, reserve: float) -> None:
        self._log = log
        self._clock = clock
        self._reserve_ns = int(reserve * _SECOND_NS)
        # Who writes to one who is away does so more than once; names change hands only here.
        self._known: dict[str, int] = {}

    async def find(self, key: str) -> int | None:
        """Return the identity that holds the name of this key, here or away."""
        if key not in self._known:
            holder = await self._log.holder(key)
            if holder is None:
                return None
            # Somebody may have claimed it meanwhile, which is newer than what the log answered.
            self._known.setdefault(key, holder.identity)
        return self._known[key]

    def known(self, key: str) -> int | None:
        """Return what `find` would, if it is at hand: then nobody has to wait."""
        return self._known.get(key)

    async def recognise(self, key: str, token: str) -> int | None:
        """Return the identity that holds the name of this key, if `token` is theirs."""
        holder = await self._log.holder(key)
        return holder.identity if holder is not None and _matches(token, holder) else None

    async def is_reserved(self, key: str) -> bool:
        """Tell whether the holder of the name was here within the reserve."""
        holder = await self._log.holder(key)
        return holder is not None and not self._is_over(holder)

    async def claim(self, name: str, token: str | None, *, is_here: bool) -> tuple[int, str]:
        """Return the identity for `name`, and its token: the given one or a new one.

        `is_here` says that the name is in use, which keeps it for its holder whatever the reserve.
        Raises NameHeldError when another holds the name.
        """
        key = names.key(name)
        while True:
            holder = await self._log.holder(key)
            if holder is not None:
                if token is not None and _matches(token, holder):
                    self.touch(key, holder.identity)
                    return holder.identity, token
                if is_here or not self._is_over(holder):
                    raise NameHeldError(name, is_token_wrong=token is not None)
            chosen = token or secrets.token_urlsafe(_TOKEN_BYTES)
            claimed = Holder(key, new_identity(), _hash(chosen), self._clock.wall_ns())
            # Another may have come first while the log was asked; then that one is the holder.
            if await self._log.hold(claimed, instead_of=holder):
                if len(self._known) >= _MANY:
                    self._known.clear()
                self._known[key] = claimed.identity
                return claimed.identity, chosen

    def touch(self, key: str, identity: int) -> None:
        """Note that the holder was here now; the reserve counts from this."""
        self._log.touch(key, identity, self._clock.wall_ns())

    def _is_over(self, holder: Holder) -> bool:
        return self._clock.wall_ns() - holder.seen_ns > self._reserve_ns


def _hash(token: str) -> bytes:
    # A token is random and long, or its owner's own risk: nothing is gained by a slow hash.
    return hashlib.sha256(token.encode()).digest()


def _matches(token: str, holder: Holder) -> bool:
    return hmac.compare_digest(_hash(token), holder.token_hash)
