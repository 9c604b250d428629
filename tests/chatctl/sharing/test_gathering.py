"""Who is admitted, which of two links stays, and who is let go."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest

from chatctl.sharing import events
from chatctl.sharing.gathering import SILENCE, Gathering
from chatctl.sharing.handshake import Card
from chatctl.sharing.manifest import collect
from chatctl.sharing.store import Store
from chatctl.sharing.swap import Swap
from common.addresses import Address
from common.messages.base import Error, Message
from common.messages.introduction import (
    Goodbye,
    KeepAlive,
    PeerAddress,
    PeerExchange,
)
from tests.chatctl.sharing.links import End, pair

OWN: Final = "5"


class Group:
    """A gathering, and the far ends of the links that were admitted to it."""

    def __init__(self, swap: Swap, store: Store) -> None:
        self.swap = swap
        self.said: list[events.Event] = []
        self.gathering = Gathering(
            Card(OWN, OWN * 32, 4000, swap.owners.digest), swap, store, 10.0, self.said.append
        )
        self.ends: list[End] = []

    def admit(self, identity: str, *, run: str = "", dialled: bool = False) -> End:
        """Have a peer admitted, and return the far end of the link to it."""
        near, far = pair()
        card = Card(identity, run or identity * 32, 4000 + int(identity), "digest")
        self.ends.append(End(far))
        self.gathering.admit(End(near).link, card, dialled)
        return self.ends[-1]

    def linked(self, end: End) -> bool:
        """Tell whether the link to `end` is the one that counts."""
        port = end.link._socket.getsockname()[1]
        return any(partner.link.address.port == port for partner in self.swap.partners.values())


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[Group]:
    async with Store(tmp_path, max_size=1, tell=lambda _news: None) as store:
        swap = Swap(await collect(OWN, []), store, 1, lambda _event: None)
        held = Group(swap, store)
        yield held
        await held.gathering.part()
        swap.close()
        for end in held.ends:
            end.link.close()


def said(end: End) -> list[Message]:
    return [frame.message for frame in end.heard]


def hears(kind: type[Message]) -> Callable[[End], bool]:
    return lambda end: any(isinstance(message, kind) for message in said(end))


async def test_who_comes_is_told_of_those_who_are_there(group: Group) -> None:
    group.admit("1")
    two = group.admit("2")
    await two.until(hears(PeerExchange))
    told = next(message for message in said(two) if isinstance(message, PeerExchange))
    assert told.peers == [PeerAddress("1", "127.0.0.1", 4001)]
    assert group.gathering.met == {"1", "2"}


@pytest.mark.parametrize("identity", ["1", "9"])
@pytest.mark.parametrize("first", [False, True])
async def test_of_two_links_the_one_stays_that_the_lesser_id_has_dialled(
    group: Group, identity: str, first: bool
) -> None:
    links = {dialled: group.admit(identity, dialled=dialled) for dialled in (first, not first)}
    stays = identity > OWN
    assert group.linked(links[stays])
    assert not group.linked(links[not stays])
    assert list(group.swap.partners) == [identity]


async def test_of_two_links_that_one_side_dialled_the_newer_stays(group: Group) -> None:
    old, new = group.admit("1"), group.admit("1")
    assert (group.linked(old), group.linked(new)) == (False, True)


async def test_another_run_with_an_id_that_is_here_is_turned_away(group: Group) -> None:
    first, other = group.admit("1"), group.admit("1", run="x" * 32)
    await other.until(hears(Error))
    (error,) = (message for message in said(other) if isinstance(message, Error))
    assert (error.reason, error.name) == ("name_taken", "1")
    assert group.linked(first)


async def test_who_was_dropped_does_not_come_in_again_but_a_new_run_does(group: Group) -> None:
    group.admit("1")
    group.swap.drop(group.swap.partners["1"], "lies")
    again = group.admit("1")
    await again.until(hears(Error))
    assert group.swap.partners == {}
    group.admit("1", run="x" * 32)
    assert list(group.swap.partners) == ["1"]


@pytest.mark.parametrize(
    ("told", "teller", "dialled"),
    [
        ("192.0.2.7", "192.0.2.1", "192.0.2.7"),
        ("127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("::1", "chat.example.org", "chat.example.org"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("peer.example.org", "192.0.2.1", "peer.example.org"),
    ],
)
async def test_what_is_the_tellers_own_machine_is_the_teller_to_others(
    group: Group, told: str, teller: str, dialled: str
) -> None:
    group.gathering.hear_of(teller, [PeerAddress("9", told, 4000)])
    (contact,) = group.gathering.contacts.take_due(time.monotonic(), ())
    assert contact.address == Address(dialled, 4000)


async def test_an_id_that_is_none_is_not_dialled(group: Group) -> None:
    group.gathering.hear_of("192.0.2.1", [PeerAddress("../9", "192.0.2.1", 4000)])
    assert group.gathering.contacts.take_due(time.monotonic() + 9, ()) == []


async def test_who_leaves_is_answered_with_our_own_rates_and_not_dialled_again(
    group: Group,
) -> None:
    group.gathering.hear_of("127.0.0.1", [PeerAddress("9", "127.0.0.1", 1)])
    nine = group.admit("9")
    nine.link.send(Goodbye(3.0, 4.0))
    await nine.until(hears(Goodbye))
    assert group.gathering.farewells["9"] == Goodbye(3.0, 4.0)
    assert group.gathering.contacts.take_due(time.monotonic() + 9, ()) == []


async def test_it_is_said_that_we_are_still_here(group: Group) -> None:
    one = group.admit("1")
    await one.until(lambda end: bool(end.heard))
    group.gathering.look_after(time.monotonic() + SILENCE / 2)
    await one.until(hears(KeepAlive))


async def test_who_says_nothing_for_long_is_let_go(group: Group) -> None:
    group.admit("1")
    group.gathering.look_after(time.monotonic() + 9.9)
    assert list(group.swap.partners) == ["1"]
    group.gathering.look_after(time.monotonic() + 10.1)
    assert group.swap.partners == {}
    assert group.swap.fates["1"] == "was silent for 10 s"


async def test_who_takes_nothing_for_long_is_let_go(group: Group) -> None:
    one = group.admit("1")
    one.link.pause()
    partner = group.swap.partners["1"]
    partner.link.send(KeepAlive(), bytes(20 * 2**20))
    await one.until(lambda _end: bool(partner.link.stuck_for(time.monotonic() + 9)))
    partner.link.heard_at = time.monotonic() + 20
    group.gathering.look_after(time.monotonic() + 11)
    assert group.swap.fates["1"] == "took nothing for 10 s"


async def test_the_same_failure_is_told_once_and_no_endless_list_of_them(group: Group) -> None:
    for _ in range(2):
        group.gathering.refuse(Address("192.0.2.1", 1), "its ticket or key is another")
    assert len(group.said) == 1
    for number in range(1_000):
        group.gathering.refuse(Address("192.0.2.1", 1), f"reason {number}")
    assert len(group.said) == 100
