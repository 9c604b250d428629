"""One connection in memory: when is it lost?"""

import asyncio
import errno
from functools import partial
from socket import create_server
from typing import cast

import pytest

from chatctl.client.connection import ClientConnection
from chatctl.client.errors import ConnectionLostError
from chatctl.errors import CannotConnectError
from common.messages.basic import Pong
from common.values import Address

SERVER = Address("127.0.0.1", 5555)
PING = b'{"code":"ping"}\n'
PONG = b'{"code":"pong","received":"then","sent":"now"}\n'


class MemoryWriter:
    """Keeps what is written; `answer` is what the other end says to it."""

    def __init__(self, reader: asyncio.StreamReader, answer: bytes = b"") -> None:
        self.written: list[bytes] = []
        self._reader = reader
        self._answer = answer

    def write(self, line: bytes) -> None:
        self.written.append(line)
        if self._answer:
            self._reader.feed_data(self._answer)

    def is_closing(self) -> bool:
        return False


def make_connection(
    answer: bytes = b"", keepalive: float = 0.01
) -> tuple[ClientConnection, MemoryWriter]:
    reader = asyncio.StreamReader()
    writer = MemoryWriter(reader, answer)
    return ClientConnection(reader, cast(asyncio.StreamWriter, writer), SERVER, keepalive), writer


async def test_a_silent_server_is_pinged_once_and_then_given_up() -> None:
    connection, writer = make_connection()

    with pytest.raises(ConnectionLostError, match=r"sent nothing for 0\.02 s"):
        await connection.read()

    assert writer.written == [PING]


async def test_a_server_that_answers_the_ping_is_kept() -> None:
    connection, writer = make_connection(answer=PONG)

    for _ in range(3):
        assert list(await connection.read()) == [Pong("then", "now")]

    assert writer.written == [PING] * 3


async def test_a_client_that_only_listens_pings_too_lest_the_server_thinks_it_gone() -> None:
    reader = asyncio.StreamReader()
    writer = MemoryWriter(reader)
    connection = ClientConnection(reader, cast(asyncio.StreamWriter, writer), SERVER, 0.0)
    reader.feed_data(PONG)

    await connection.read()

    assert writer.written == [PING]


async def test_the_end_of_the_stream_is_a_lost_connection() -> None:
    reader = asyncio.StreamReader()
    connection = ClientConnection(
        reader, cast(asyncio.StreamWriter, MemoryWriter(reader)), SERVER, 1.0
    )
    reader.feed_eof()

    with pytest.raises(ConnectionLostError, match="the server closed the connection"):
        await connection.read()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionResetError(errno.ECONNRESET, "whatever"), "connection reset by peer"),
        (OSError(errno.ETIMEDOUT, "whatever"), "connection timed out"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect (), [Errno 101] Connect ()"),
            "network is unreachable or connection refused",
        ),
        (OSError(-2, "Name or service not known"), "name or service not known"),
    ],
)
async def test_a_failure_is_reported_in_the_words_of_the_system(
    error: OSError, reason: str
) -> None:
    reader = asyncio.StreamReader()
    connection = ClientConnection(
        reader, cast(asyncio.StreamWriter, MemoryWriter(reader)), SERVER, 1.0
    )
    reader.set_exception(error)

    with pytest.raises(ConnectionLostError, match=reason):
        await connection.read()


async def test_a_socket_that_reached_itself_has_reached_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with create_server(("127.0.0.77", 0)) as free:  # an address from which no other test dials
        host, port = free.getsockname()
    open_from_there = partial(asyncio.open_connection, local_addr=(host, port))
    monkeypatch.setattr(asyncio, "open_connection", open_from_there)

    with pytest.raises(CannotConnectError, match="connection refused"):
        await ClientConnection.open(host, port, within=20.0, keepalive=1.0)
