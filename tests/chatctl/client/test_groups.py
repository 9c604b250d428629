"""Groups of peers as a client sees them, over a real socket to a scripted server."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

import pytest

from chatctl.client import Client, PeerJoined, PeerLeft, PeerList, RefusedError
from common.messages.groups import PeerEntry as Entry
from tests.support.scripted_server import TIMEOUT, ScriptedServer, ServerConnection, run_both

ANN: Final[dict[str, Any]] = {"id": "1", "host": "h", "port": 4000, "size": 5, "digest": "d"}
BOB: Final[dict[str, Any]] = {**ANN, "id": "2"}

Updates = AsyncGenerator[PeerList | PeerJoined | PeerLeft, None]


def share(client: Client) -> Updates:
    return client.share("run", "1", port=4000, size=5, digest="d")


async def grant(connection: ServerConnection, *entries: dict[str, Any]) -> dict[str, Any]:
    """Expect a share, answer with a group of `entries`, and return what was asked for."""
    request = await connection.expect("share")
    connection.send("peers", group="run", peers=list(entries), ticket="t", ref=request.pop("ref"))
    return request


async def join(server: ScriptedServer, client: Client) -> tuple[ServerConnection, Updates]:
    """Enter a group in which nobody else is."""
    updates = share(client)
    first = asyncio.create_task(anext(updates))
    connection = await server.accept()
    await grant(connection, ANN)
    await first
    return connection, updates


async def take(updates: Updates) -> PeerList | PeerJoined | PeerLeft:
    async with asyncio.timeout(TIMEOUT):
        return await anext(updates)


async def test_the_group_comes_first_and_then_what_changes_in_it(server: ScriptedServer) -> None:
    async with server.client() as client:
        updates = share(client)
        first = asyncio.create_task(anext(updates))
        connection = await server.accept()
        assert await grant(connection, ANN) == {
            "code": "share",
            "group": "run",
            **{name: value for name, value in ANN.items() if name != "host"},
            "presence": True,
        }
        whole = await first
        assert isinstance(whole, PeerList)
        assert (whole.peers, whole.group_secret) == ([Entry(**ANN)], "t")
        connection.send("peer_joined", group="run", peer=BOB)
        connection.send("peer_left", group="run", id="2")
        assert await take(updates) == PeerJoined("run", Entry(**BOB))
        assert await take(updates) == PeerLeft("run", "2")


async def test_after_a_lost_connection_it_enters_again_and_the_whole_group_comes(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection, updates = await join(server, client)
        connection.close()
        connection = await server.accept()
        await grant(connection, ANN, BOB)
        whole = await take(updates)
        assert isinstance(whole, PeerList)
        assert [entry.id for entry in whole.peers] == ["1", "2"]


async def test_a_refusal_is_raised_with_what_to_take_instead(server: ScriptedServer) -> None:
    async with server.client() as client:
        first = asyncio.create_task(take(share(client)))
        connection = await server.accept()
        ref = (await connection.expect("share"))["ref"]
        connection.send("error", reason="name_taken", detail="use 1-2", suggestion="1-2", ref=ref)
        with pytest.raises(RefusedError, match="use 1-2") as error:
            await first
        assert error.value.suggestion == "1-2"


async def test_a_refusal_on_a_new_connection_ends_the_updates(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection, updates = await join(server, client)
        connection.close()
        connection = await server.accept()
        ref = (await connection.expect("share"))["ref"]
        connection.send("error", reason="name_taken", detail="somebody else is 1", ref=ref)
        with pytest.raises(RefusedError, match="somebody else"):
            await take(updates)


async def test_who_only_asks_gets_the_list_and_enters_nothing(server: ScriptedServer) -> None:
    async def answer() -> None:
        connection = await server.accept()
        request = await connection.expect("peers")
        connection.send("peers", group="run", peers=[ANN], ref=request["ref"])

    async with server.client() as client:
        assert await run_both(client.peers("run"), answer()) == [Entry(**ANN)]


async def test_quitting_ends_the_updates(server: ScriptedServer) -> None:
    async with server.client() as client:
        _, updates = await join(server, client)
        await client.quit()
        assert [item async for item in updates] == []
