"""Feed: random users and arrays without end, at an interval or as fast as they are read."""

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
    """Asks for a feed, in place of the one that the connection may have.

    The `topics` take turns, one message every `interval_ms` (ms, up to an hour); 0 is as fast as
    they are read. An array has `size` (1 to 1000) whole numbers from `low` to `high`, both
    included. With `ref` the answer `subscribed` comes before the first message.

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
    """The feed begins; what a feed before it sent has all come before this."""

    ref: Ref


class Unsubscribe(Message, frozen=True):
    """Ends the feed, if there is one."""


class Block(Message, frozen=True):
    """Tells the server how long (s) a block of `count` messages took to arrive.

    `interrupted` when the connection was lost meanwhile, or messages were.
    """

    count: Annotated[int, Meta(ge=1, le=SAFE)]
    seconds: Annotated[float, Meta(ge=0, le=1e9)]
    interrupted: bool = False


class Person(Struct, frozen=True, gc=False):
    """Somebody who does not exist; `birthdate` is written 1990-12-31."""

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
