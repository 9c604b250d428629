"""Who may use a name: trust on first use, a token, and a time of reserve."""

import asyncio

import pytest

from chatd.config import AccountConfig
from chatd.core.accounts import Accounts, NameReservedError, new_identity
from chatd.messagelog.base import NameOwner
from chatd.messagelog.memory import MemoryLog
from tests.support.fakes import FakeClock, ManualScheduler
from tests.support.service_harness import DAY

TOKEN, OTHER_TOKEN = "a" * 32, "b" * 32


class SlowLog(MemoryLog[object]):
    """A log that takes its time to answer, as one on a disk does."""

    async def owner(self, key: str) -> NameOwner | None:
        answer = await super().owner(key)
        await asyncio.sleep(0.001)
        return answer


class AccountsHarness:
    """Accounts with a log of their own and a clock to advance."""

    def __init__(self, reservation: float = 7 * DAY) -> None:
        self.log = SlowLog(10, ManualScheduler())
        self.clock = FakeClock()
        self.accounts = Accounts(self.log, self.clock, AccountConfig(reservation=reservation))

    async def claim(
        self, name: str, token: str | None = None, *, is_online: bool = False
    ) -> tuple[int, str]:
        return await self.accounts.claim(name, token, is_online=is_online)


async def test_a_free_name_comes_with_an_identity_and_a_token() -> None:
    harness = AccountsHarness()
    identity, token = await harness.claim("Ann")
    assert await harness.accounts.find("ann") == identity
    assert await harness.claim("ANN", token) == (identity, token)


async def test_tokens_and_identities_are_never_the_same_twice() -> None:
    harness = AccountsHarness()
    claims = [await harness.claim(f"user {number}") for number in range(100)]
    assert len({identity for identity, _ in claims}) == 100
    assert len({token for _, token in claims}) == 100
    assert all(0 < new_identity() < 2**62 for _ in range(100))


async def test_a_token_is_kept_only_as_its_hash() -> None:
    harness = AccountsHarness()
    await harness.claim("ann", TOKEN)
    owner = await harness.log.owner("ann")
    assert owner is not None
    assert len(owner.token_hash) == 32
    assert TOKEN.encode() not in owner.token_hash


@pytest.mark.parametrize(("token", "reason"), [(None, "name_taken"), (OTHER_TOKEN, "unauthorized")])
async def test_a_reserved_name_is_refused_without_its_token(token: str | None, reason: str) -> None:
    harness = AccountsHarness()
    identity, _ = await harness.claim("ann", TOKEN)
    with pytest.raises(NameReservedError) as refused:
        await harness.claim("ann", token)
    assert refused.value.reason == reason
    assert await harness.claim("ann", TOKEN) == (identity, TOKEN)


async def test_the_reservation_counts_from_when_the_owner_was_last_here() -> None:
    harness = AccountsHarness(reservation=60.0)
    identity, _ = await harness.claim("ann", TOKEN)
    harness.clock.advance(50)
    harness.accounts.record_seen("ann", identity)
    harness.clock.advance(60)
    assert await harness.accounts.is_reserved("ann")
    harness.clock.advance(0.001)
    assert not await harness.accounts.is_reserved("ann")


async def test_coming_back_starts_the_reservation_anew() -> None:
    harness = AccountsHarness(reservation=60.0)
    await harness.claim("ann", TOKEN)
    harness.clock.advance(50)
    await harness.claim("ann", TOKEN)
    harness.clock.advance(50)
    assert await harness.accounts.is_reserved("ann")


async def test_after_the_reservation_the_name_goes_to_another() -> None:
    harness = AccountsHarness(reservation=60.0)
    identity, _ = await harness.claim("ann", TOKEN)
    harness.clock.advance(61)
    other, _ = await harness.claim("ann", OTHER_TOKEN)
    assert other != identity
    with pytest.raises(NameReservedError, match="is reserved, and this is not its owner's token"):
        await harness.claim("ann", TOKEN)


async def test_a_name_in_use_is_held_whatever_the_reservation() -> None:
    harness = AccountsHarness(reservation=60.0)
    identity, _ = await harness.claim("ann", TOKEN)
    harness.clock.advance(61)
    with pytest.raises(NameReservedError):
        await harness.claim("ann", OTHER_TOKEN, is_online=True)
    assert await harness.claim("ann", TOKEN, is_online=True) == (identity, TOKEN)


async def test_without_a_reservation_a_name_is_free_a_moment_later() -> None:
    harness = AccountsHarness(reservation=0.0)
    await harness.claim("ann")
    harness.clock.advance(0.001)
    assert not await harness.accounts.is_reserved("ann")


async def test_of_two_who_take_a_free_name_at_once_one_gets_it() -> None:
    harness = AccountsHarness()
    won, lost = await asyncio.gather(
        harness.claim("ann", TOKEN), harness.claim("ann", OTHER_TOKEN), return_exceptions=True
    )
    assert isinstance(lost, NameReservedError)
    assert won == await harness.claim("ann", TOKEN)


async def test_of_two_who_take_a_name_after_its_reservation_one_gets_it() -> None:
    harness = AccountsHarness(reservation=60.0)
    await harness.claim("ann", "c" * 32)
    harness.clock.advance(61)
    won, lost = await asyncio.gather(
        harness.claim("ann", TOKEN), harness.claim("ann", OTHER_TOKEN), return_exceptions=True
    )
    assert isinstance(lost, NameReservedError)
    assert won == await harness.claim("ann", TOKEN)


async def test_one_who_comes_twice_at_once_with_the_same_new_token_is_one() -> None:
    harness = AccountsHarness()
    one, same = await asyncio.gather(harness.claim("ann", TOKEN), harness.claim("ann", TOKEN))
    assert one == same


async def test_who_holds_a_name_is_asked_of_the_log_once(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = AccountsHarness(reservation=60.0)
    first, _ = await harness.claim("ann", TOKEN)
    again = Accounts(harness.log, harness.clock, AccountConfig(reservation=60.0))
    asked: list[str] = []

    async def owner(key: str) -> NameOwner | None:
        asked.append(key)
        return await SlowLog.owner(harness.log, key)

    monkeypatch.setattr(harness.log, "owner", owner)
    assert [await again.find("ann") for _ in range(3)] == [first] * 3
    assert [await again.find("bob") for _ in range(2)] == [None] * 2
    assert asked == ["ann", "bob", "bob"]


async def test_a_name_that_changed_hands_is_found_with_its_new_owner() -> None:
    harness = AccountsHarness(reservation=60.0)
    await harness.claim("ann", TOKEN)
    await harness.accounts.find("ann")
    harness.clock.advance(61)
    found, (newer, _) = await asyncio.gather(
        harness.accounts.find("ann"), harness.claim("ann", OTHER_TOKEN)
    )
    assert found != newer
    assert await harness.accounts.find("ann") == newer
