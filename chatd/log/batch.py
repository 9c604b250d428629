"""What one commit stores, and what came of it."""

from collections.abc import Mapping, Sequence
from typing import Generic

from msgspec import Struct

from chatd.log.port import Appended, NameOwner, Origin, Outcome


class Claim(Struct, frozen=True, gc=False):
    """an owner who wants a name that `replacing` has, or nobody."""

    owner: NameOwner
    replacing: NameOwner | None


class Batch(Struct, Generic[Origin], frozen=True):
    """Messages and their origins, claims to names, and when owners were seen.

    `seen` has the identity and ns since the Unix epoch by the key of the name.
    """

    appended: Appended[Origin]
    claims: Sequence[Claim]
    seen: Mapping[str, tuple[int, int]]

    @property
    def size(self) -> int:
        """How many messages there are."""
        return sum(len(drafts) for drafts, _ in self.appended)


class Stored(Struct, Generic[Origin], frozen=True):
    """What came of a batch: outcomes of all drafts, and whether each claim was granted.

    `first` and `last` are the log's after it.
    """

    outcomes: Sequence[Outcome[Origin]]
    granted: Sequence[bool]
    first: int
    last: int
