"""When a peer is done, and when it gives up: a table."""

import pytest
from msgspec import structs

from chatctl.share.options import Decision, StopPolicy, SwarmStatus, decide

THREE = StopPolicy(peers=3, wait=60.0, seed_after=0.0, stall=30.0)
ANYONE = StopPolicy(peers=None, wait=10.0, seed_after=0.0, stall=30.0)
SEEDS = structs.replace(THREE, seed_after=5.0)

BUSY = SwarmStatus(
    began_at=0.0,
    members=3,
    pending_manifests=0,
    completed_at=None,
    is_needed=False,
    is_stranded=False,
    changed_at=1.0,
    last_progress_at=20.0,
)
WHOLE = structs.replace(BUSY, completed_at=20.0)


@pytest.mark.parametrize(
    ("policy", "status", "at", "decision"),
    [
        pytest.param(THREE, BUSY, 20.0, Decision.CONTINUE, id="something is missing and moves"),
        pytest.param(THREE, WHOLE, 20.0, Decision.DONE, id="all is here"),
        pytest.param(
            THREE,
            structs.replace(WHOLE, is_needed=True),
            20.0,
            Decision.CONTINUE,
            id="others still need it",
        ),
        pytest.param(
            THREE,
            structs.replace(WHOLE, is_needed=True),
            51.0,
            Decision.DONE,
            id="others need it and take nothing",
        ),
        pytest.param(
            THREE,
            structs.replace(WHOLE, pending_manifests=1),
            20.0,
            Decision.CONTINUE,
            id="it is not known what somebody has",
        ),
        pytest.param(
            THREE, structs.replace(WHOLE, members=2), 20.0, Decision.CONTINUE, id="one is to come"
        ),
        pytest.param(
            THREE, structs.replace(WHOLE, members=2), 60.0, Decision.DONE, id="one did not come"
        ),
        pytest.param(ANYONE, WHOLE, 9.9, Decision.CONTINUE, id="somebody may come"),
        pytest.param(ANYONE, WHOLE, 20.0, Decision.DONE, id="nobody else came"),
        pytest.param(SEEDS, WHOLE, 24.9, Decision.CONTINUE, id="it stays for others"),
        pytest.param(SEEDS, WHOLE, 25.0, Decision.DONE, id="it stayed for others"),
        pytest.param(
            THREE,
            structs.replace(BUSY, is_stranded=True, changed_at=15.0),
            74.9,
            Decision.GIVE_UP,
            id="nothing moves any more",
        ),
        pytest.param(
            THREE,
            structs.replace(BUSY, is_stranded=True, changed_at=15.0, last_progress_at=60.0),
            74.9,
            Decision.CONTINUE,
            id="who left may come back",
        ),
        pytest.param(
            THREE,
            structs.replace(BUSY, is_stranded=True, changed_at=15.0, last_progress_at=60.0),
            75.0,
            Decision.GIVE_UP,
            id="who left did not come back",
        ),
        pytest.param(
            ANYONE,
            structs.replace(BUSY, is_stranded=True, last_progress_at=1.0),
            11.0,
            Decision.GIVE_UP,
            id="nobody has what is missing",
        ),
        pytest.param(THREE, BUSY, 50.0, Decision.GIVE_UP, id="those who have it do not send it"),
    ],
)
def test_the_decision_follows_from_policy_and_status(
    policy: StopPolicy, status: SwarmStatus, at: float, decision: Decision
) -> None:
    assert decide(policy, status, at) is decision
