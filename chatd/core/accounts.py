"""Accounts: trust on first use, a token for later logins, and a reservation of the name."""

import hashlib
import hmac
import secrets
from typing import Final

from chatd.config import AccountConfig
from chatd.messagelog.base import NameOwner, NameStore
from common import names
from common.messages.base import Reason
from common.system.clock import Clock

_TOKEN_BYTES: Final = 24
_IDENTITY_BITS: Final = 62
_SECOND_NS: Final = 1_000_000_000
_CACHE_SIZE: Final = 100_000


def new_identity() -> int:
    """Return a new identity; it is random, so that no coordination is needed."""
    return secrets.randbits(_IDENTITY_BITS) | 1


class NameReservedError(Exception):
    """The name is reserved for its owner, and the token is missing or not the owner's."""

    def __init__(self, name: str, *, is_token_wrong: bool) -> None:
        super().__init__(
            f"the name {name} is reserved, and this is not its owner's token"
            if is_token_wrong
            else f"the name {name} is reserved by someone else"
        )
        self.reason: Reason = "unauthorized" if is_token_wrong else "name_taken"


class Accounts:
    """The owners of names, kept in the store."""

    def __init__(self, store: NameStore, clock: Clock, config: AccountConfig) -> None:
        self._store = store
        self._clock = clock
        self._reservation_ns = int(config.reservation * _SECOND_NS)
        # Messages to an absent user seldom come alone. Only this class changes the owner of a name.
        self._cache: dict[str, int] = {}

    async def find(self, key: str) -> int | None:
        """Return the identity that owns the name of this key, online or not."""
        if key not in self._cache:
            owner = await self._store.owner(key)
            if owner is None:
                return None
            # A claim that was granted meanwhile is newer than this answer.
            self._cache.setdefault(key, owner.identity)
        return self._cache[key]

    def find_cached(self, key: str) -> int | None:
        """Return what `find` returns, if it is cached: then nothing has to wait."""
        return self._cache.get(key)

    async def authenticate(self, key: str, token: str) -> int | None:
        """Return the identity that owns the name of this key, if `token` is the owner's."""
        owner = await self._store.owner(key)
        return owner.identity if owner is not None and _matches(token, owner) else None

    async def is_reserved(self, key: str) -> bool:
        """Return whether the owner of the name was online within the reservation."""
        owner = await self._store.owner(key)
        return owner is not None and not self._has_expired(owner)

    async def claim(self, name: str, token: str | None, *, is_online: bool) -> tuple[int, str]:
        """Return the identity for `name`, and its token: the given one or a new one.

        `is_online` says that the name is in use, which reserves it whatever the time. Raises
        NameReservedError when another identity owns the name.
        """
        key = names.fold(name)
        while True:
            owner = await self._store.owner(key)
            if owner is not None:
                if token is not None and _matches(token, owner):
                    self.record_seen(key, owner.identity)
                    return owner.identity, token
                if is_online or not self._has_expired(owner):
                    raise NameReservedError(name, is_token_wrong=token is not None)
            new_token = token or secrets.token_urlsafe(_TOKEN_BYTES)
            new_owner = NameOwner(key, new_identity(), _hash(new_token), self._clock.wall_ns())
            # If another claim was granted meanwhile, the loop sees the new owner.
            if await self._store.claim(new_owner, replacing=owner):
                if len(self._cache) >= _CACHE_SIZE:
                    self._cache.clear()
                self._cache[key] = new_owner.identity
                return new_owner.identity, new_token

    def record_seen(self, key: str, identity: int) -> None:
        """Note that the owner is online now; the reservation counts from this."""
        self._store.record_seen(key, identity, self._clock.wall_ns())

    def _has_expired(self, owner: NameOwner) -> bool:
        return self._clock.wall_ns() - owner.seen_ns > self._reservation_ns


def _hash(token: str) -> bytes:
    # A token is long and random, or chosen at the owner's risk: a slow hash gains nothing.
    return hashlib.sha256(token.encode()).digest()


def _matches(token: str, owner: NameOwner) -> bool:
    return hmac.compare_digest(_hash(token), owner.token_hash)
