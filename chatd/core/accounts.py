"""Who may use a name: trust on first use, a token to come back, and a reservation for a time."""

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
    """Return an identity that no other has: random, so that nobody must be asked for it."""
    return secrets.randbits(_IDENTITY_BITS) | 1


class NameReservedError(Exception):
    """The name is kept for its owner, and whoever asked has no token or another."""

    def __init__(self, name: str, *, is_token_wrong: bool) -> None:
        super().__init__(
            f"the name {name} is kept for its holder, whose token this is not"
            if is_token_wrong
            else f"the name {name} is kept for its holder"
        )
        self.reason: Reason = "unauthorized" if is_token_wrong else "name_taken"


class Accounts:
    """The owners of names, kept in the store."""

    def __init__(self, store: NameStore, clock: Clock, config: AccountConfig) -> None:
        self._store = store
        self._clock = clock
        self._reservation_ns = int(config.reservation * _SECOND_NS)
        # Who writes to one who is away does so more than once; names change hands only here.
        self._cache: dict[str, int] = {}

    async def find(self, key: str) -> int | None:
        """Return the identity that holds the name of this key, here or away."""
        if key not in self._cache:
            owner = await self._store.owner(key)
            if owner is None:
                return None
            # Somebody may have claimed it meanwhile, which is newer than what the log answered.
            self._cache.setdefault(key, owner.identity)
        return self._cache[key]

    def find_cached(self, key: str) -> int | None:
        """Return what `find` would, if it is at hand: then nobody has to wait."""
        return self._cache.get(key)

    async def authenticate(self, key: str, token: str) -> int | None:
        """Return the identity that holds the name of this key, if `token` is theirs."""
        owner = await self._store.owner(key)
        return owner.identity if owner is not None and _matches(token, owner) else None

    async def is_reserved(self, key: str) -> bool:
        """Tell whether the owner of the name was here within the reservation."""
        owner = await self._store.owner(key)
        return owner is not None and not self._has_expired(owner)

    async def claim(self, name: str, token: str | None, *, is_online: bool) -> tuple[int, str]:
        """Return the identity for `name`, and its token: the given one or a new one.

        `is_online` says that the name is in use, which keeps it for its owner whatever the
        reservation. Raises NameReservedError when another holds the name.
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
            # Another may have come first while the log was asked; then that one is the owner.
            if await self._store.claim(new_owner, replacing=owner):
                if len(self._cache) >= _CACHE_SIZE:
                    self._cache.clear()
                self._cache[key] = new_owner.identity
                return new_owner.identity, new_token

    def record_seen(self, key: str, identity: int) -> None:
        """Note that the owner was here now; the reservation counts from this."""
        self._store.record_seen(key, identity, self._clock.wall_ns())

    def _has_expired(self, owner: NameOwner) -> bool:
        return self._clock.wall_ns() - owner.seen_ns > self._reservation_ns


def _hash(token: str) -> bytes:
    # A token is random and long, or its owner's own risk: nothing is gained by a slow hash.
    return hashlib.sha256(token.encode()).digest()


def _matches(token: str, owner: NameOwner) -> bool:
    return hmac.compare_digest(_hash(token), owner.token_hash)
