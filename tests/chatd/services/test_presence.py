"""Who comes and who goes, told to those who asked."""

from tests.chatd.stage import ServiceHarness


async def test_who_asked_hears_who_comes_and_who_goes(harness: ServiceHarness) -> None:
    ann = await harness.client("ann", presence=True)
    bob = await harness.register("bob")
    carol = await harness.client("carol")
    bob.lose_connection()
    await carol.send("quit")
    assert ann.received() == [
        {"code": "joined", "name": "bob"},
        {"code": "joined", "name": "carol"},
        {"code": "left", "name": "bob"},
        {"code": "left", "name": "carol"},
    ]


async def test_who_did_not_ask_hears_nothing_of_it(harness: ServiceHarness) -> None:
    ann, bob = await harness.register("ann"), await harness.client("bob")
    (await harness.register("carol")).lose_connection()
    assert ann.lines() == bob.lines() == []


async def test_nobody_hears_of_oneself(harness: ServiceHarness) -> None:
    ann = await harness.client("ann", presence=True)
    assert ann.received() == []
    ann.lose_connection()
    assert ann.lines() == []


async def test_unregistered_clients_come_and_go_unnoticed(harness: ServiceHarness) -> None:
    ann = await harness.client("ann", presence=True)
    harness.connect().lose_connection()
    assert ann.lines() == []


async def test_a_takeover_is_neither_coming_nor_going(harness: ServiceHarness) -> None:
    ann = await harness.client("ann", presence=True)
    bob = await harness.client("bob")
    ann.received()
    again = await harness.client("bob", token=bob.token)
    assert ann.lines() == []
    again.lose_connection()
    assert ann.received() == [{"code": "left", "name": "bob"}]


async def test_on_screen_it_is_a_line_with_a_star(harness: ServiceHarness) -> None:
    ann = harness.connect()
    await ann.hello(name="ann", format="text", presence=True)
    (await harness.register("bob")).lose_connection()
    assert ann.lines() == ["* bob joined", "* bob left"]
