"""Groups of peers as a client sees them, over a real socket to a scripted server."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

import pytest

from chatctl.client import Client, PeerJoined, PeerLeft, PeerList, RefusedError
from common.messages.peers import PeerEntry as Entry
from tests.chatctl.scripted import PATIENCE, Peer, Server, both

ANN: Final[dict[str, Any]] = {"id": "1", "host": "h", "port": 4000, "size": 5, "digest": "d"}
BOB: Final[dict[str, Any]] = {**ANN, "id": "2"}

News = AsyncGenerator[PeerList | PeerJoined | PeerLeft, None]


def share(client: Client) -> News:
    return client.share("run", "1", port=4000, size=5, digest="d")


async def grant(peer: Peer, *entries: dict[str, Any]) -> dict[str, Any]:
    """Expect a share, answer with a group of `entries`, and return what was asked for."""
    wish = await peer.expect("share")
    peer.say("peers", group="run", peers=list(entries), ticket="t", ref=wish.pop("ref"))
    return wish


async def enter(server: Server, client: Client) -> tuple[Peer, News]:
    """Enter a group in which nobody else is."""
    news = share(client)
    first = asyncio.create_task(anext(news))
    peer = await server.accept()
    await grant(peer, ANN)
    await first
    return peer, news


async def take(news: News) -> PeerList | PeerJoined | PeerLeft:
    async with asyncio.timeout(PATIENCE):
        return await anext(news)


async def test_the_group_comes_first_and_then_what_changes_in_it(server: Server) -> None:
    async with server.client() as client:
        news = share(client)
        first = asyncio.create_task(anext(news))
        peer = await server.accept()
        assert await grant(peer, ANN) == {
            "code": "share",
            "group": "run",
            **{name: value for name, value in ANN.items() if name != "host"},
            "presence": True,
        }
        whole = await first
        assert isinstance(whole, PeerList)
        assert (whole.peers, whole.group_secret) == ([Entry(**ANN)], "t")
        peer.say("peer_joined", group="run", peer=BOB)
        peer.say("peer_left", group="run", id="2")
        assert await take(news) == PeerJoined("run", Entry(**BOB))
        assert await take(news) == PeerLeft("run", "2")


async def test_after_a_lost_connection_it_enters_again_and_the_whole_group_comes(
    server: Server,
) -> None:
    async with server.client() as client:
        peer, news = await enter(server, client)
        peer.hang_up()
        peer = await server.accept()
        await grant(peer, ANN, BOB)
        whole = await take(news)
        assert isinstance(whole, PeerList)
        assert [entry.id for entry in whole.peers] == ["1", "2"]


async def test_a_refusal_is_raised_with_what_to_take_instead(server: Server) -> None:
    async with server.client() as client:
        first = asyncio.create_task(take(share(client)))
        peer = await server.accept()
        ref = (await peer.expect("share"))["ref"]
        peer.say("error", reason="name_taken", detail="use 1-2", suggestion="1-2", ref=ref)
        with pytest.raises(RefusedError, match="use 1-2") as refusal:
            await first
        assert refusal.value.suggestion == "1-2"


async def test_a_refusal_on_a_new_connection_ends_the_news(server: Server) -> None:
    async with server.client() as client:
        peer, news = await enter(server, client)
        peer.hang_up()
        peer = await server.accept()
        ref = (await peer.expect("share"))["ref"]
        peer.say("error", reason="name_taken", detail="somebody else is 1", ref=ref)
        with pytest.raises(RefusedError, match="somebody else"):
            await take(news)


async def test_who_only_asks_gets_the_list_and_enters_nothing(server: Server) -> None:
    async def answer() -> None:
        peer = await server.accept()
        question = await peer.expect("peers")
        peer.say("peers", group="run", peers=[ANN], ref=question["ref"])

    async with server.client() as client:
        assert await both(client.peers("run"), answer()) == [Entry(**ANN)]


async def test_quitting_ends_the_news(server: Server) -> None:
    async with server.client() as client:
        _, news = await enter(server, client)
        await client.quit()
        assert [item async for item in news] == []
