"""What is asked of a share."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from chatctl.errors import UsageError
from chatctl.sharing.ending import StopPolicy
from common.addresses import Address
from common.exchange import check_id
from common.messages.peers import check_group


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
