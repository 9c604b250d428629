"""Signing in under a name that may be taken."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from chatctl.errors import AnswerTimeoutError, RefusedError
from chatctl.identities import Identities
from chatctl.signin import take_name
from common import names
from common.addresses import Address
from common.messages.base import Error, Reason
from common.messages.chat import Welcome


class FakeServer:
    """Knows which names are taken, and by whom."""

    def __init__(self, *taken: str, reason: Reason = "name_taken") -> None:
        self.holders = dict.fromkeys(taken, "somebody else's token")
        self.reason = reason
        self.asked: list[str] = []

    def answer(self, name: str, token: str) -> Welcome:
        self.asked.append(name)
        if self.holders.setdefault(name, token) == token:
            return Welcome(name=name, token=token)
        free = next(variant for variant in names.variants(name) if variant not in self.holders)
        raise RefusedError(Error(self.reason, "taken", name=name, suggestion=free))


class FakeClient:
    """Holds the name that it was welcomed under until `held` closes."""

    def __init__(self, server: FakeServer, identities: Identities, held: ExitStack) -> None:
        self.warning = ""
        self._server = server
        self._identities = identities
        self._held = held

    async def hello(self, name: str, *, presence: bool, resume: bool) -> Welcome:
        with ExitStack() as attempt:
            token = attempt.enter_context(self._identities.borrow(name)).token
            welcome = self._server.answer(name, token)
            self._held.push(attempt.pop_all())
        return welcome


class Person:
    """Answers the question for another name, and remembers it."""

    def __init__(self, *, agrees: bool = True) -> None:
        self.agrees = agrees
        self.offers: list[tuple[str, str]] = []

    async def __call__(self, taken: str, free: str) -> bool:
        self.offers.append((taken, free))
        return self.agrees


@pytest.fixture
def identities(tmp_path: Path) -> Identities:
    return Identities(Address("127.0.0.1", 5555), tmp_path)


async def sign_in(server: FakeServer, identities: Identities, person: Person) -> str:
    with ExitStack() as held:
        client = FakeClient(server, identities, held)
        return str((await take_name(client, "ann", identities, person)).name)


async def test_a_free_name_is_taken_without_a_question(identities: Identities) -> None:
    person = Person()
    assert await sign_in(FakeServer(), identities, person) == "ann"
    assert person.offers == []


async def test_the_same_person_comes_back_with_the_same_token(identities: Identities) -> None:
    server = FakeServer()
    for _ in range(2):
        assert await sign_in(server, identities, Person()) == "ann"


@pytest.mark.parametrize("reason", ["name_taken", "unauthorized"])
async def test_for_a_taken_name_the_suggestion_of_the_server_is_offered(
    identities: Identities, reason: Reason
) -> None:
    person = Person()
    server = FakeServer("ann", "ann-2", reason=reason)
    assert await sign_in(server, identities, person) == "ann-3"
    assert person.offers == [("ann", "ann-3")]
    assert server.asked == ["ann", "ann-3"]


async def test_who_does_not_agree_is_told_what_would_be_free(identities: Identities) -> None:
    with pytest.raises(RefusedError, match="the name ann is taken; use ann-2, or --suggested"):
        await sign_in(FakeServer("ann"), identities, Person(agrees=False))


async def test_a_variant_that_is_ours_comes_before_a_new_one(identities: Identities) -> None:
    with identities.borrow("ann-4") as identity:
        pass
    server = FakeServer("ann")
    server.holders["ann-4"] = identity.token
    assert await sign_in(server, identities, Person()) == "ann-4"


async def test_a_name_in_use_by_another_program_of_ours_is_taken(identities: Identities) -> None:
    person = Person()
    with identities.borrow("ann"), identities.borrow("ann-2"):
        assert await sign_in(FakeServer(), identities, person) == "ann-3"
    assert person.offers == [("ann", "ann-3")]


async def test_the_search_ends_whoever_holds_the_variants(identities: Identities) -> None:
    server = FakeServer("ann", "ann-3", "ann-4")
    with identities.borrow("ann-2"):
        assert await sign_in(server, identities, Person()) == "ann-5"


async def test_the_name_is_ours_alone_until_we_leave(identities: Identities) -> None:
    server = FakeServer()
    with ExitStack() as held:
        await take_name(FakeClient(server, identities, held), "ann", identities, Person())
        assert await sign_in(server, identities, Person()) == "ann-2"
    assert await sign_in(server, identities, Person()) == "ann"


async def test_where_another_program_is_faster_the_next_name_is_tried(
    identities: Identities, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "is_free", lambda _name: True)
    with identities.borrow("ann"):
        assert await sign_in(FakeServer(), identities, Person()) == "ann-2"


async def test_what_is_wrong_with_what_was_kept_is_told(
    identities: Identities, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as held:
        client = FakeClient(FakeServer(), identities, held)
        client.warning = "what was kept for ann cannot be read"
        await take_name(client, "ann", identities, Person())
    assert capsys.readouterr().err == "chatctl: what was kept for ann cannot be read\n"


async def test_a_name_that_is_not_allowed_is_no_reason_to_look_for_another(
    identities: Identities,
) -> None:
    with pytest.raises(RefusedError) as refused:
        await sign_in(FakeServer("ann", reason="bad_name"), identities, Person())
    assert refused.value.reason == "bad_name"


async def test_a_server_that_does_not_answer_is_not_waited_for(identities: Identities) -> None:
    class Silent(FakeClient):
        async def hello(self, name: str, *, presence: bool, resume: bool) -> Welcome:
            await asyncio.Event().wait()
            return Welcome()

    with ExitStack() as held:
        client = Silent(FakeServer(), identities, held)
        with pytest.raises(AnswerTimeoutError, match=r"within 0\.001 s"):
            await take_name(client, "ann", identities, Person(), within=0.001)
