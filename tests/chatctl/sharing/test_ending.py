"""When a peer is done, and when it gives up: a table."""

import pytest
from msgspec import structs

from chatctl.sharing.ending import Standing, Terms, Verdict, judge

THREE = Terms(peers=3, wait=60.0, seed_after=0.0, stall=30.0)
ANYONE = Terms(peers=None, wait=10.0, seed_after=0.0, stall=30.0)
SEEDS = structs.replace(THREE, seed_after=5.0)

BUSY = Standing(
    began_at=0.0,
    members=3,
    awaited=0,
    completed_at=None,
    is_needed=False,
    is_stranded=False,
    changed_at=1.0,
    moved_at=20.0,
)
WHOLE = structs.replace(BUSY, completed_at=20.0)


@pytest.mark.parametrize(
    ("terms", "standing", "at", "verdict"),
    [
        pytest.param(THREE, BUSY, 20.0, Verdict.GO_ON, id="something is missing and moves"),
        pytest.param(THREE, WHOLE, 20.0, Verdict.DONE, id="all is here"),
        pytest.param(
            THREE,
            structs.replace(WHOLE, is_needed=True),
            20.0,
            Verdict.GO_ON,
            id="others still need it",
        ),
        pytest.param(
            THREE,
            structs.replace(WHOLE, is_needed=True),
            51.0,
            Verdict.DONE,
            id="others need it and take nothing",
        ),
        pytest.param(
            THREE,
            structs.replace(WHOLE, awaited=1),
            20.0,
            Verdict.GO_ON,
            id="it is not known what somebody has",
        ),
        pytest.param(
            THREE, structs.replace(WHOLE, members=2), 20.0, Verdict.GO_ON, id="one is to come"
        ),
        pytest.param(
            THREE, structs.replace(WHOLE, members=2), 60.0, Verdict.DONE, id="one did not come"
        ),
        pytest.param(ANYONE, WHOLE, 9.9, Verdict.GO_ON, id="somebody may come"),
        pytest.param(ANYONE, WHOLE, 20.0, Verdict.DONE, id="nobody else came"),
        pytest.param(SEEDS, WHOLE, 24.9, Verdict.GO_ON, id="it stays for others"),
        pytest.param(SEEDS, WHOLE, 25.0, Verdict.DONE, id="it stayed for others"),
        pytest.param(
            THREE,
            structs.replace(BUSY, is_stranded=True, changed_at=15.0),
            74.9,
            Verdict.GIVE_UP,
            id="nothing moves any more",
        ),
        pytest.param(
            THREE,
            structs.replace(BUSY, is_stranded=True, changed_at=15.0, moved_at=60.0),
            74.9,
            Verdict.GO_ON,
            id="who left may come back",
        ),
        pytest.param(
            THREE,
            structs.replace(BUSY, is_stranded=True, changed_at=15.0, moved_at=60.0),
            75.0,
            Verdict.GIVE_UP,
            id="who left did not come back",
        ),
        pytest.param(
            ANYONE,
            structs.replace(BUSY, is_stranded=True, moved_at=1.0),
            11.0,
            Verdict.GIVE_UP,
            id="nobody has what is missing",
        ),
        pytest.param(THREE, BUSY, 50.0, Verdict.GIVE_UP, id="those who have it do not send it"),
    ],
)
def test_it_goes_on_until_nothing_is_to_be_gained(
    terms: Terms, standing: Standing, at: float, verdict: Verdict
) -> None:
    assert judge(terms, standing, at) is verdict
