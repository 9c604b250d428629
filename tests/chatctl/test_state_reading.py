"""Where one client under a name stopped reading, the next one goes on; a scripted server."""

from pathlib import Path
from typing import Any

from chatctl.client import Client
from tests.chatctl.lives import ProcessKilledError, run_client
from tests.chatctl.scripted import ScriptedServer, ServerConnection, next_contents


async def test_it_goes_on_after_the_last_event_that_the_program_was_done_with(
    server: ScriptedServer, state: Path
) -> None:
    async def killed_over_the_third(
        client: Client, connection: ServerConnection, hello: dict[str, Any]
    ) -> None:
        assert "after" not in hello
        connection.deliver(8, 9, 10)
        assert await next_contents(client, 3) == ["m8", "m9", "m10"]
        raise ProcessKilledError

    async def again(client: Client, connection: ServerConnection, hello: dict[str, Any]) -> None:
        assert (hello["after"], hello["log"]) == (9, "log-1")
        connection.deliver(10, 11)
        assert await next_contents(client, 2) == ["m10", "m11"]

    async def after_a_good_end(
        _client: Client, _connection: ServerConnection, hello: dict[str, Any]
    ) -> None:
        assert hello["after"] == 11

    await run_client(server, state, killed_over_the_third, welcome={"last": 7})
    await run_client(server, state, again, welcome={"last": 11})
    await run_client(server, state, after_a_good_end, welcome={"last": 11})


async def test_what_was_said_before_the_first_event_was_taken_is_not_missed(
    server: ScriptedServer, state: Path
) -> None:
    async def nothing(_client: Client, _connection: ServerConnection, _: dict[str, Any]) -> None:
        raise ProcessKilledError

    async def again(_client: Client, _connection: ServerConnection, hello: dict[str, Any]) -> None:
        assert hello["after"] == 7

    await run_client(server, state, nothing, welcome={"last": 7})
    await run_client(server, state, again, welcome={"last": 20})


async def test_a_program_that_shows_events_later_says_itself_what_it_is_done_with(
    server: ScriptedServer, state: Path
) -> None:
    async def killed(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        connection.deliver(1, 2, 3)
        events = client.events()
        taken = [await anext(events) for _ in range(3)]
        client.seen(*taken[:2])
        raise ProcessKilledError

    async def again(_client: Client, _connection: ServerConnection, hello: dict[str, Any]) -> None:
        assert hello["after"] == 2

    await run_client(server, state, killed)
    await run_client(server, state, again)


async def test_one_that_does_not_read_moves_nothing(server: ScriptedServer, state: Path) -> None:
    async def reads(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        connection.deliver(1)
        await next_contents(client, 1)

    async def only_sends(
        client: Client, connection: ServerConnection, hello: dict[str, Any]
    ) -> None:
        assert "after" not in hello
        connection.deliver(2)
        await next_contents(client, 1)

    async def again(_client: Client, _connection: ServerConnection, hello: dict[str, Any]) -> None:
        assert hello["after"] == 1

    await run_client(server, state, reads)
    await run_client(server, state, only_sends, hello={"resume": False})
    await run_client(server, state, again)


async def test_a_program_that_knows_better_says_after_what_to_go_on(
    server: ScriptedServer, state: Path
) -> None:
    async def reads(client: Client, connection: ServerConnection, _: dict[str, Any]) -> None:
        connection.deliver(1, 2, 3)
        await next_contents(client, 3)

    async def knows(_client: Client, _connection: ServerConnection, hello: dict[str, Any]) -> None:
        assert (hello["after"], hello["log"]) == (2, "log-1")

    await run_client(server, state, reads)
    await run_client(server, state, knows, hello={"after": 2})
