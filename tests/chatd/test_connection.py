"""One connection: what it makes of the bytes that come, however they come."""

from tests.chatd.house import House, echo, reason

PING = b'{"code":"ping"}\n'
HELLO_TEXT = b'{"code":"hello","format":"text"}'


async def test_what_comes_in_one_chunk_is_answered_in_one_write() -> None:
    async with House() as house:
        client = house.connect()
        await client.say(echo("a"), echo("b"), echo("c"))
        assert await client.heard() == [echo("a"), echo("b"), echo("c")]
        assert house.writes == [client.cable]


async def test_an_object_without_a_newline_is_answered_at_once() -> None:
    async with House() as house:
        client = house.connect()
        await client.send(b'{"code":"echo"}{"code":"echo","con')
        assert len(await client.heard()) == 1
        await client.send(b'tent":1}')
        assert await client.heard() == [{"code": "echo", "content": 1}]


async def test_an_unfinished_object_at_the_end_of_input_is_an_error() -> None:
    async with House() as house:
        client = house.connect()
        await client.send(b'{"code":"echo"')
        await client.end()
        assert await reason(client) == "bad_json"


async def test_an_unfinished_line_of_text_at_the_end_of_input_is_the_last_line() -> None:
    async with House() as house:
        ann, guest = await house.member("ann"), house.connect()
        await guest.send(HELLO_TEXT + b"\nfirst\nlast")
        await guest.end()
        assert [message["content"] for message in await ann.heard()] == ["first", "last"]


async def test_a_bad_line_costs_one_error_and_the_session_goes_on() -> None:
    async with House() as house:
        client = house.connect()
        await client.send(b"no json\n[]\n\xff\n" + PING)
        codes = [message["code"] for message in await client.heard()]
        assert codes == ["error", "error", "error", "pong"]


async def test_a_line_may_be_as_long_as_the_terms_say() -> None:
    async with House(max_line=1_024) as house:
        client = house.connect()
        await client.send(b'{"code":"echo","content":"' + b"x" * 1_024 + b'"}\n' + PING)
        error, pong = await client.heard()
        assert (error["reason"], pong["code"]) == ("line_too_long", "pong")


async def test_what_follows_the_hello_is_text_wherever_the_chunks_are_cut() -> None:
    sent = HELLO_TEXT + b"\n" + "ann|für dich\nwho\n*|für alle\n".encode()
    for cut in range(len(sent)):
        async with House() as house:
            ann, guest = await house.member("ann"), house.connect()
            await guest.send(sent[:cut])
            await guest.send(sent[cut:])
            contents = [message["content"] for message in await ann.heard()]
            assert contents == ["für dich", "für alle"], cut
            assert await guest.lines() == ["current users:", "ann", "guest-1", ""], cut


async def test_a_refused_hello_changes_nothing_about_how_bytes_are_read() -> None:
    async with House() as house:
        await house.member("ann")
        client = house.connect()
        await client.send(b'{"code":"hello","format":"text","name":"ann"}\n' + PING)
        assert [message["code"] for message in await client.heard()] == ["error", "pong"]


async def test_a_client_that_asks_much_leaves_others_their_turn() -> None:
    async with House() as house:
        greedy, modest = house.connect(), house.connect()
        greedy.feed(PING * 8_000)
        modest.feed(PING)
        assert len(await greedy.lines()) == 8_000
        assert house.writes.index(modest.cable) < len(house.writes) / 2


async def test_what_is_due_goes_out_before_a_chunk_is_served() -> None:
    async with House() as house:
        punctual, other = house.connect(), house.connect()
        await punctual.say({"code": "exchange", "id": "1", "interval_ms": 10, "duration_s": 1})
        await punctual.heard()
        house.stage.clock.now += 0.01  # and no timer had its turn meanwhile
        before = len(house.writes)
        await other.say(echo("a"))
        assert house.writes[before:] == [punctual.cable, other.cable]


async def test_a_client_that_is_gone_before_it_is_served_has_no_address() -> None:
    async with House() as house:
        assert str(house.connect(peer=None).session) == "?:0"
