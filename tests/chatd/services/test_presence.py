"""Who comes and who goes, told to those who asked."""

from tests.chatd.stage import Stage


async def test_who_asked_hears_who_comes_and_who_goes(stage: Stage) -> None:
    ann = await stage.member("ann", presence=True)
    bob = await stage.hello("bob")
    carol = await stage.member("carol")
    bob.vanish()
    await carol.say("quit")
    assert ann.heard() == [
        {"code": "joined", "name": "bob"},
        {"code": "joined", "name": "carol"},
        {"code": "left", "name": "bob"},
        {"code": "left", "name": "carol"},
    ]


async def test_who_did_not_ask_hears_nothing_of_it(stage: Stage) -> None:
    ann, bob = await stage.hello("ann"), await stage.member("bob")
    (await stage.hello("carol")).vanish()
    assert ann.lines() == bob.lines() == []


async def test_nobody_hears_of_oneself(stage: Stage) -> None:
    ann = await stage.member("ann", presence=True)
    assert ann.heard() == []
    ann.vanish()
    assert ann.lines() == []


async def test_strangers_come_and_go_unnoticed(stage: Stage) -> None:
    ann = await stage.member("ann", presence=True)
    stage.enter().vanish()
    assert ann.lines() == []


async def test_a_takeover_is_neither_coming_nor_going(stage: Stage) -> None:
    ann = await stage.member("ann", presence=True)
    bob = await stage.member("bob")
    ann.heard()
    again = await stage.member("bob", token=bob.token)
    assert ann.lines() == []
    again.vanish()
    assert ann.heard() == [{"code": "left", "name": "bob"}]


async def test_on_screen_it_is_a_line_with_a_star(stage: Stage) -> None:
    ann = stage.enter()
    await ann.hello(name="ann", format="text", presence=True)
    (await stage.hello("bob")).vanish()
    assert ann.lines() == ["* bob joined", "* bob left"]
