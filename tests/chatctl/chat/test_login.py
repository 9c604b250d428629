"""Signing in under a name that may be taken.

Which name a command tries when the one it wants is taken.
"""

import asyncio
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pytest

from chatctl.cli.login import claim_name, next_name
from chatctl.client import RefusedError
from chatctl.client.credentials import Credentials
from chatctl.client.errors import NameInUseError
from chatctl.errors import AnswerTimeoutError
from common import names
from common.messages.base import Error, Reason
from common.messages.chat import Welcome
from common.names import suggestions
from common.values import Address


class FakeServer:
    """Knows which names are taken, and by whom."""

    def __init__(self, *taken: str, reason: Reason = "name_taken") -> None:
        self.tokens = dict.fromkeys(taken, "somebody else's token")
        self.reason = reason
        self.requested: list[str] = []

    def answer(self, name: str, token: str) -> Welcome:
        self.requested.append(name)
        if self.tokens.setdefault(name, token) == token:
            return Welcome(name=name, token=token)
        free = next(variant for variant in names.suggestions(name) if variant not in self.tokens)
        raise RefusedError(Error(self.reason, "taken", name=name, suggestion=free))


class FakeClient:
    """Holds the name that it was welcomed under until `acquired` closes."""

    def __init__(self, server: FakeServer, credentials: Credentials, acquired: ExitStack) -> None:
        self.warning = ""
        self._server = server
        self._credentials = credentials
        self._acquired = acquired

    async def hello(self, name: str, *, presence: bool, resume: bool) -> Welcome:
        with ExitStack() as attempt:
            token = attempt.enter_context(self._credentials.acquire(name)).token
            welcome = self._server.answer(name, token)
            self._acquired.push(attempt.pop_all())
        return welcome


class FakePerson:
    """Answers the question for another name, and remembers it."""

    def __init__(self, *, accepts: bool = True) -> None:
        self.accepts = accepts
        self.questions: list[tuple[str, str]] = []

    async def __call__(self, taken: str, free: str) -> bool:
        self.questions.append((taken, free))
        return self.accepts


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return Credentials(Address("127.0.0.1", 5555), tmp_path)


async def log_in(server: FakeServer, credentials: Credentials, person: FakePerson) -> str:
    with ExitStack() as acquired:
        client = FakeClient(server, credentials, acquired)
        return str((await claim_name(client, "ann", credentials, person)).name)


async def test_a_free_name_is_taken_without_a_question(credentials: Credentials) -> None:
    person = FakePerson()
    assert await log_in(FakeServer(), credentials, person) == "ann"
    assert person.questions == []


async def test_the_same_person_comes_back_with_the_same_token(credentials: Credentials) -> None:
    server = FakeServer()
    for _ in range(2):
        assert await log_in(server, credentials, FakePerson()) == "ann"


@pytest.mark.parametrize("reason", ["name_taken", "unauthorized"])
async def test_for_a_taken_name_the_suggestion_of_the_server_is_offered(
    credentials: Credentials, reason: Reason
) -> None:
    person = FakePerson()
    server = FakeServer("ann", "ann-2", reason=reason)
    assert await log_in(server, credentials, person) == "ann-3"
    assert person.questions == [("ann", "ann-3")]
    assert server.requested == ["ann", "ann-3"]


async def test_who_does_not_agree_is_shown_what_would_be_free(credentials: Credentials) -> None:
    with pytest.raises(RefusedError, match="the name ann is taken; try ann-2, or add --suggested"):
        await log_in(FakeServer("ann"), credentials, FakePerson(accepts=False))


async def test_a_variant_that_is_ours_comes_before_a_new_one(credentials: Credentials) -> None:
    with credentials.acquire("ann-4") as credential:
        pass
    server = FakeServer("ann")
    server.tokens["ann-4"] = credential.token
    assert await log_in(server, credentials, FakePerson()) == "ann-4"


async def test_a_name_in_use_by_another_program_of_ours_is_taken(credentials: Credentials) -> None:
    person = FakePerson()
    with credentials.acquire("ann"), credentials.acquire("ann-2"):
        assert await log_in(FakeServer(), credentials, person) == "ann-3"
    assert person.questions == [("ann", "ann-3")]


async def test_the_search_ends_whoever_holds_the_variants(credentials: Credentials) -> None:
    server = FakeServer("ann", "ann-3", "ann-4")
    with credentials.acquire("ann-2"):
        assert await log_in(server, credentials, FakePerson()) == "ann-5"


async def test_the_name_is_ours_alone_until_we_leave(credentials: Credentials) -> None:
    server = FakeServer()
    with ExitStack() as acquired:
        await claim_name(
            FakeClient(server, credentials, acquired), "ann", credentials, FakePerson()
        )
        assert await log_in(server, credentials, FakePerson()) == "ann-2"
    assert await log_in(server, credentials, FakePerson()) == "ann"


async def test_where_another_program_is_faster_the_next_name_is_tried(
    credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "is_free", lambda _name: True)
    with credentials.acquire("ann"):
        assert await log_in(FakeServer(), credentials, FakePerson()) == "ann-2"


async def test_what_is_wrong_with_what_was_kept_is_reported(
    credentials: Credentials, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as acquired:
        client = FakeClient(FakeServer(), credentials, acquired)
        client.warning = "what was kept for ann cannot be read"
        await claim_name(client, "ann", credentials, FakePerson())
    assert capsys.readouterr().err == "chatctl: what was kept for ann cannot be read\n"


async def test_a_name_that_is_not_allowed_is_no_reason_to_look_for_another(
    credentials: Credentials,
) -> None:
    with pytest.raises(RefusedError) as refused:
        await log_in(FakeServer("ann", reason="bad_name"), credentials, FakePerson())
    assert refused.value.reason == "bad_name"


async def test_a_server_that_does_not_answer_is_not_waited_for(credentials: Credentials) -> None:
    class Silent(FakeClient):
        async def hello(self, name: str, *, presence: bool, resume: bool) -> Welcome:
            await asyncio.Event().wait()
            return Welcome()

    with ExitStack() as acquired:
        client = Silent(FakeServer(), credentials, acquired)
        with pytest.raises(AnswerTimeoutError, match=r"within 0\.001 s"):
            await claim_name(client, "ann", credentials, FakePerson(), within=0.001)


@pytest.mark.parametrize(
    ("tried", "suggested", "held", "name"),
    [
        ({"ann"}, "ann-7", set(), "ann-7"),
        ({"ann"}, "ann-7", {"ann-3", "ann-9"}, "ann-3"),
        ({"ann", "ann-3"}, "ann-7", {"ann-3"}, "ann-7"),
        ({"ann"}, None, {"ann-5"}, "ann-5"),
        ({"ann"}, None, set(), "ann-2"),
        ({"ann", "ann-2"}, None, set(), "ann-3"),
        ({"ann"}, "another", set(), "another"),
        ({"ann", "another"}, "another", set(), "ann-2"),
    ],
)
def test_a_name_of_ours_comes_before_the_one_suggested_and_that_before_any_other(
    tried: set[str], suggested: str | None, held: set[str], name: str
) -> None:
    assert next_name("ann", tried, suggested, held.__contains__) == name


def test_a_hundred_taken_names_are_enough() -> None:
    taken = {"ann", *islice(suggestions("ann"), 100)}

    with pytest.raises(NameInUseError, match="choose another"):
        next_name("ann", taken, None, lambda name: True)
