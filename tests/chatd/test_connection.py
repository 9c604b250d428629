"""One connection: what it makes of the bytes that come, however they come."""

from tests.chatd.house import MemoryServer, echo, reason

PING = b'{"code":"ping"}\n'
HELLO_TEXT = b'{"code":"hello","format":"text"}'


async def test_what_comes_in_one_chunk_is_answered_in_one_write() -> None:
    async with MemoryServer() as server:
        client = server.connect()
        await client.send(echo("a"), echo("b"), echo("c"))
        assert await client.received() == [echo("a"), echo("b"), echo("c")]
        assert server.writes == [client.transport]


async def test_an_object_without_a_newline_is_answered_at_once() -> None:
    async with MemoryServer() as server:
        client = server.connect()
        await client.send_bytes(b'{"code":"echo"}{"code":"echo","con')
        assert len(await client.received()) == 1
        await client.send_bytes(b'tent":1}')
        assert await client.received() == [{"code": "echo", "content": 1}]


async def test_an_unfinished_object_at_the_end_of_input_is_an_error() -> None:
    async with MemoryServer() as server:
        client = server.connect()
        await client.send_bytes(b'{"code":"echo"')
        await client.send_eof()
        assert await reason(client) == "bad_json"


async def test_an_unfinished_line_of_text_at_the_end_of_input_is_the_last_line() -> None:
    async with MemoryServer() as server:
        ann, guest = await server.client("ann"), server.connect()
        await guest.send_bytes(HELLO_TEXT + b"\nfirst\nlast")
        await guest.send_eof()
        assert [message["content"] for message in await ann.received()] == ["first", "last"]


async def test_a_bad_line_costs_one_error_and_the_session_goes_on() -> None:
    async with MemoryServer() as server:
        client = server.connect()
        await client.send_bytes(b"no json\n[]\n\xff\n" + PING)
        codes = [message["code"] for message in await client.received()]
        assert codes == ["error", "error", "error", "pong"]


async def test_a_line_may_be_as_long_as_the_limits_say() -> None:
    async with MemoryServer(max_line=1_024) as server:
        client = server.connect()
        await client.send_bytes(b'{"code":"echo","content":"' + b"x" * 1_024 + b'"}\n' + PING)
        error, pong = await client.received()
        assert (error["reason"], pong["code"]) == ("line_too_long", "pong")


async def test_what_follows_the_hello_is_text_wherever_the_chunks_are_cut() -> None:
    sent = HELLO_TEXT + b"\n" + "ann|für dich\nwho\n*|für alle\n".encode()
    for cut in range(len(sent)):
        async with MemoryServer() as server:
            ann, guest = await server.client("ann"), server.connect()
            await guest.send_bytes(sent[:cut])
            await guest.send_bytes(sent[cut:])
            contents = [message["content"] for message in await ann.received()]
            assert contents == ["für dich", "für alle"], cut
            assert await guest.lines() == ["current users:", "ann", "guest-1", ""], cut


async def test_a_refused_hello_changes_nothing_about_how_bytes_are_read() -> None:
    async with MemoryServer() as server:
        await server.client("ann")
        client = server.connect()
        await client.send_bytes(b'{"code":"hello","format":"text","name":"ann"}\n' + PING)
        assert [message["code"] for message in await client.received()] == ["error", "pong"]


async def test_a_client_that_asks_much_lets_others_be_served() -> None:
    async with MemoryServer() as server:
        greedy, modest = server.connect(), server.connect()
        greedy.feed(PING * 8_000)
        modest.feed(PING)
        assert len(await greedy.lines()) == 8_000
        assert server.writes.index(modest.transport) < len(server.writes) / 2


async def test_what_is_due_goes_out_before_a_chunk_is_served() -> None:
    async with MemoryServer() as server:
        punctual, other = server.connect(), server.connect()
        await punctual.send({"code": "exchange", "id": "1", "interval_ms": 10, "duration_s": 1})
        await punctual.received()
        server.harness.clock.now += 0.01  # and no timer had its turn meanwhile
        before = len(server.writes)
        await other.send(echo("a"))
        assert server.writes[before:] == [punctual.transport, other.transport]


async def test_a_client_that_is_gone_before_it_is_served_has_no_address() -> None:
    async with MemoryServer() as server:
        assert str(server.connect(peer=None).session) == "?:0"
