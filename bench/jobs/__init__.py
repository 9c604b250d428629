"""All jobs in the order in which they run, and the candidates that each is run on."""

from typing import Final

from msgspec import Struct

from bench.competitors.irtt import IrttExchange
from bench.jobs.connections import ConnectionBurst, Idle
from bench.jobs.feeds import OnDemandFeeds, PeriodicFeeds
from bench.jobs.messages import Broadcast, Direct, Durable, Ping
from bench.jobs.requests import PendingRequests
from bench.jobs.timestamps import Exchanges
from bench.measure import Goal, Job


class Comparison(Struct, frozen=True):
    """A job and the names of the candidates on which it is run in turn."""

    job: Job
    candidates: tuple[str, ...]


_CHATD: Final = ("chatd",)
_PINGED: Final = ("chatd", "c-baseline", "nats", "redis")
_CHAT: Final = ("chatd", "c-baseline", "nats", "redis", "mosquitto", "ngircd")
_SCALED: Final = ("chatd", "c-baseline", "nats", "redis")
_SERVERS: Final = ("chatd", "nats", "redis", "mosquitto", "ngircd")
_DURABLE: Final = ("chatd-process", "nats-file", "chatd-power", "nats-file-always")
_BURST: Final = ("chatd", "nats", "redis", "mosquitto")
"""ngIRCd has a listen queue of ten: what does not fit comes back so late that it is no burst."""

MEMBERS: Final = {
    10: "members-10",
    100: "broadcast-100-w1",
    1_000: "broadcast-1000-w1",
    10_000: "members-10000",
}
SIZES: Final = {
    16: "size-16",
    100: "broadcast-100-w1",
    1_024: "size-1024",
    8_192: "size-8192",
    32_768: "size-32768",
}
EXCHANGES: Final = {count: f"exchanges-{count}" for count in (1, 100, 300, 500, 750, 1_000)}
AUTHORS: Final = {count: f"durable-{count}" for count in (1, 100, 1_000)}
PIPELINED: Final = {window: f"durable-100-w{window}" for window in (8, 64)}
"""The jobs in which one thing grows: members, bytes of a message, exchanges, authors at once, and
messages that each of 100 authors has in flight."""

_EXCHANGE_GOALS: Final = {
    300: Goal("p99_us", 1_000, at_least=False),
    750: Goal("p99_us", 5_000, at_least=False),
}

COMPARISONS: Final = (
    Comparison(
        Ping("ping-pipelined", 50, window=1_000, batch=500, goal=Goal("rate", 1.5e6)), _PINGED
    ),
    Comparison(Ping("ping-closed", connections=50), _PINGED),
    *(
        Comparison(Broadcast(f"broadcast-{members}-w{window}", members, window), _CHAT)
        for members in (100, 1_000)
        for window in (1, 32)
    ),
    Comparison(Broadcast("broadcast-100-paced", 100, rate=500), _CHAT),
    Comparison(Broadcast("broadcast-1000-paced", 1_000, rate=50), _CHAT),
    Comparison(Direct("direct-w1", pairs=500, window=1), _CHAT),
    Comparison(Direct("direct-w32", pairs=500, window=32), _CHAT),
    *(
        Comparison(Broadcast(name, members, window=1), _SCALED)
        for members, name in MEMBERS.items()
        if name.startswith("members")
    ),
    *(
        Comparison(Broadcast(name, 100, window=1, content_size=size), _SCALED)
        for size, name in SIZES.items()
        if name.startswith("size")
    ),
    Comparison(
        PendingRequests(
            "requests-10k",
            connections=1,
            each=10_000,
            goal=Goal("p99_us", 20_000, at_least=False),
        ),
        _CHATD,
    ),
    Comparison(
        PendingRequests(
            "requests-100k",
            connections=1_000,
            each=100,
            goal=Goal("p99_us", 5_000, at_least=False),
        ),
        _CHATD,
    ),
    Comparison(
        PeriodicFeeds(
            "feed-500",
            subscribers=500,
            interval_ms=10,
            goal=Goal("p99_us", 10_000, at_least=False),
        ),
        _CHATD,
    ),
    Comparison(OnDemandFeeds("feed-eager", subscribers=10), _CHATD),
    Comparison(IrttExchange("exchanges-1-irtt"), ("irtt",)),
    *(
        Comparison(Exchanges(name, count, _EXCHANGE_GOALS.get(count)), _CHATD)
        for count, name in EXCHANGES.items()
    ),
    *(Comparison(Durable(name, authors), _DURABLE) for authors, name in AUTHORS.items()),
    *(Comparison(Durable(name, 100, window), _DURABLE) for window, name in PIPELINED.items()),
    Comparison(ConnectionBurst("connection-burst", connections=5_000), _BURST),
    Comparison(
        Idle("idle", connections=10_000, goal=Goal("bytes_each", 8_192, at_least=False)), _CHATD
    ),
    Comparison(Idle("idle-members", connections=10_000, says_hello=True), _SERVERS),
)
