"""What one commit stores, and what came of it."""

from collections.abc import Mapping, Sequence
from typing import Generic

from msgspec import Struct

from chatd.log.port import Appended, AppendResult, NameOwner, Sender


class NameClaim(Struct, frozen=True, gc=False):
    """an owner who wants a name that `replacing` has, or nobody."""

    owner: NameOwner
    replacing: NameOwner | None


class CommitBatch(Struct, Generic[Sender], frozen=True):
    """Messages and their senders, claims to names, and when owners were seen.

    `seen` has the identity and ns since the Unix epoch by the key of the name.
    """

    appended: Appended[Sender]
    claims: Sequence[NameClaim]
    seen: Mapping[str, tuple[int, int]]

    @property
    def size(self) -> int:
        """How many messages there are."""
        return sum(len(messages) for messages, _ in self.appended)


class CommitResult(Struct, Generic[Sender], frozen=True):
    """What came of a batch: results of all messages, and whether each claim was granted.

    `first` and `last` are the log's after it.
    """

    results: Sequence[AppendResult[Sender]]
    granted: Sequence[bool]
    first: int
    last: int
