"""Every job there is, in the order in which they run."""

from bench.jobs.broadcast import Broadcast
from bench.jobs.direct import Direct
from bench.jobs.exchanges import Exchanges
from bench.jobs.feed import EagerFeeds, PacedFeeds
from bench.jobs.idle import Idle
from bench.jobs.job import Goal, Job
from bench.jobs.ping import PingClosed, PingPipelined
from bench.jobs.requests import PendingRequests
from bench.jobs.storm import ConnectStorm

JOBS: tuple[Job, ...] = (
    PingPipelined("ping-pipelined", connections=50, batch=500, goal=Goal("rate", 1.2e6)),
    PingClosed("ping-closed", connections=50),
    Broadcast("broadcast-100-w1", members=100, window=1),
    Broadcast("broadcast-100-w32", members=100, window=32),
    Broadcast("broadcast-1000-w1", members=1_000, window=1),
    Broadcast("broadcast-1000-w32", members=1_000, window=32, goal=Goal("rate", 2e6)),
    Direct("direct-w1", pairs=50, window=1),
    Direct("direct-w32", pairs=50, window=32),
    PendingRequests(
        "requests-10k",
        connections=1,
        each=10_000,
        goal=Goal("p99_us", 20_000, at_least=False),
    ),
    PendingRequests(
        "requests-100k",
        connections=1_000,
        each=100,
        goal=Goal("p99_us", 50_000, at_least=False),
    ),
    PacedFeeds(
        "feed-500", subscribers=500, interval_ms=10, goal=Goal("p99_us", 10_000, at_least=False)
    ),
    EagerFeeds("feed-eager", subscribers=10),
    Exchanges("exchanges-1", count=1),
    Exchanges("exchanges-100", count=100),
    Exchanges("exchanges-200", count=200, goal=Goal("ping_p99_us", 10_000, at_least=False)),
    Exchanges("exchanges-300", count=300, goal=Goal("p99_us", 1_000, at_least=False)),
    Exchanges("exchanges-500", count=500),
    Exchanges("exchanges-750", count=750, goal=Goal("p99_us", 5_000, at_least=False)),
    Exchanges("exchanges-1000", count=1_000),
    ConnectStorm("storm", connections=5_000),
    Idle("idle", connections=10_000, goal=Goal("bytes_each", 8_192, at_least=False)),
)
