"""Options of a share, and the policy that decides when it is done.

`decide` is a pure function of a policy, a status and the time.
"""

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Final

from msgspec import Struct

from chatctl.errors import UsageError
from common.messages.groups import check_group
from common.names import check_id
from common.values import Address

STALL_TIMEOUT: Final = 30.0
"""How long (s) without a piece moving until an exchange counts as stalled."""


class StopPolicy(Struct, frozen=True):
    """When to stop; times in s.

    `peers` is the expected number of peers, including this one; None for any number. `wait` is how
    long to wait for peers to come or to come back, `seed_after` how long to serve others after
    everything is here, and `stall` how long to go on without a piece moving.
    """

    peers: int | None
    wait: float
    seed_after: float = 0.0
    stall: float = STALL_TIMEOUT


class ShareOptions(Struct, frozen=True):
    """The options of a share: swap `files` in `group`, and save those of others in `out`.

    Peers find each other through the server if `uses_server`, else through those at `addresses`.
    `max_size` (bytes) limits the files of each peer. `key` is the shared secret, `port` where to
    listen (0: any free port). Raises UsageError for an invalid id or group.
    """

    group: str
    id: str
    files: Sequence[Path]
    stop_policy: StopPolicy
    uses_server: bool = True
    addresses: Sequence[Address] = ()
    key: str = ""
    out: Path = Path("received")
    max_size: int = 4 * 2**30
    port: int = 0

    def __post_init__(self) -> None:
        try:
            check_id(self.id)
            check_group(self.group)
        except ValueError as error:
            raise UsageError(str(error)) from None


class SwarmStatus(Struct):
    """The status of a swarm; moments in s, `completed_at` None while something is missing.

    `members` have come, including this peer. `pending_manifests` are expected from connected peers.
    `is_needed` while a connected peer lacks pieces; `is_stranded` when no connected peer has what
    is missing here.
    """

    began_at: float
    members: int
    pending_manifests: int
    completed_at: float | None
    is_needed: bool
    is_stranded: bool
    changed_at: float
    last_progress_at: float


class Decision(Enum):
    """Whether to go on."""

    CONTINUE = "go on"
    DONE = "done"
    GIVE_UP = "give up"


def decide(policy: StopPolicy, status: SwarmStatus, at: float) -> Decision:
    """Return whether a share goes on, is done, or gives up, at the moment `at`."""
    has_waited = at - status.began_at >= policy.wait
    has_everyone = status.members >= policy.peers if policy.peers is not None else has_waited
    if not has_everyone and not has_waited:
        return Decision.CONTINUE
    is_stalled = at - max(status.last_progress_at, status.changed_at) >= policy.stall
    if status.completed_at is not None and not status.pending_manifests:
        if status.is_needed and not is_stalled:
            return Decision.CONTINUE
        return Decision.DONE if at - status.completed_at >= policy.seed_after else Decision.CONTINUE
    if (
        status.is_stranded
        and not status.pending_manifests
        and at - status.changed_at >= policy.wait
    ):
        return Decision.GIVE_UP
    return Decision.GIVE_UP if is_stalled else Decision.CONTINUE
