"""What is asked of a share.

When a peer is done, or gives up; the time is handed in (s, monotonic).
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
"""After how long (s) without a piece moving nothing is expected any more."""


class StopPolicy(Struct, frozen=True):
    """What was asked for; times in s.

    `peers` are expected, this one included, None for whoever comes. `wait` is for those who are to
    come, or to come back; `seed_after` is for others, once everything is here; after `stall`
    without a piece moving nothing is expected any more.
    """

    peers: int | None
    wait: float
    seed_after: float = 0.0
    stall: float = STALL_TIMEOUT


class SwarmStatus(Struct):
    """How it stands. Times are moments (s), `completed_at` None while something is missing.

    `members` have been met, this peer included; `pending_manifests` manifests are still to come
    from those who are connected. `is_needed` while a connected peer lacks pieces, `is_stranded`
    when no connected peer has what is missing here.
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
    """What is to be done."""

    CONTINUE = "go on"
    DONE = "done"
    GIVE_UP = "give up"


def decide(policy: StopPolicy, status: SwarmStatus, at: float) -> Decision:
    """Return what is to be done at the moment `at`."""
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


class ShareOptions(Struct, frozen=True):
    """What is asked for: to swap `files` in `group`, and to put those of others into `out`.

    Where `uses_server`, the server introduces the peers; else those at `addresses` do. `max_size`
    (bytes) is how much each of them may have. `key` is the secret of the group, `port` where to
    listen (0: any). Raises UsageError for an id or a group that cannot be.
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
