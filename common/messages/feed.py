"""Feed: an endless stream of random users and arrays, paced or as fast as the client reads."""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from common.messages.base import SAFE, Message
from common.messages.basic import Ref

Topic: TypeAlias = Literal["user", "array"]

TOPICS: Final[tuple[Topic, ...]] = ("user", "array")

MAX_INTERVAL_MS: Final = 3_600_000
MAX_SIZE: Final = 1_000

Whole: TypeAlias = Annotated[int, Meta(ge=-SAFE, le=SAFE)]


class Subscribe(Message, frozen=True):
    """Starts a feed, which replaces an earlier one on this connection.

    The `topics` alternate, one message every `interval_ms` (ms, up to an hour); 0 means as fast as
    the client reads. An array has `size` (1 to 1000) whole numbers from `low` to `high`, both
    included. With a `ref`, `subscribed` comes before the first message.

    Raises ValueError for a topic named twice, and for `low` above `high`.
    """

    topics: Annotated[tuple[Topic, ...], Meta(min_length=1)] = TOPICS
    interval_ms: Annotated[int, Meta(ge=0, le=MAX_INTERVAL_MS)] = 1_000
    size: Annotated[int, Meta(ge=1, le=MAX_SIZE)] = 10
    low: Whole = 0
    high: Whole = 100
    ref: Ref | UnsetType = UNSET

    def __post_init__(self) -> None:
        if len(set(self.topics)) < len(self.topics):
            raise ValueError("a topic is named twice; name each once")
        if self.low > self.high:
            raise ValueError(f"low is {self.low} and high is {self.high}; swap them")


class Subscribed(Message, frozen=True):
    """The feed begins; every message of an earlier feed came before this."""

    ref: Ref


class Unsubscribe(Message, frozen=True):
    """Ends the feed, if any."""


class Block(Message, frozen=True):
    """Reports to the server how long (s) a block of `count` messages took to arrive.

    `interrupted` says that the connection or messages were lost meanwhile.
    """

    count: Annotated[int, Meta(ge=1, le=SAFE)]
    seconds: Annotated[float, Meta(ge=0, le=1e9)]
    interrupted: bool = False


class Person(Struct, frozen=True, gc=False):
    """A fictitious person; `birthdate` has the form 1990-12-31."""

    name: str
    username: str
    email: str
    address: str
    company: str
    birthdate: str
    phone: str


class User(Message, frozen=True):
    """Message `n` of a feed (from 1), and when it was sent (UTC)."""

    n: int
    sent: str
    user: Person


class Array(Message, frozen=True):
    """Message `n` of a feed (from 1), and when it was sent (UTC)."""

    n: int
    sent: str
    values: list[int]


FROM_CLIENT: Final = (Subscribe, Unsubscribe, Block)
FROM_SERVER: Final = (Subscribed, User, Array)
