"""One window of time on two processes: operations done, CPU spent by either."""

import os
import time
from collections.abc import Callable

from msgspec import Struct

from bench import proc
from bench.dialects import Dialect
from bench.histogram import PLACES


class Target(Struct, frozen=True):
    """A running server, as a job sees it."""

    host: str
    port: int
    pid: int
    dialect: Dialect


class Timing(Struct, frozen=True):
    """How long a steady load runs (s): `warmup` is not measured, `seconds` is."""

    warmup: float
    seconds: float


class Measurement(Struct, frozen=True):
    """What one run of a job came to; seconds are wall time, the others CPU."""

    operations: int
    seconds: float
    server_cpu: float
    load_cpu: float
    others_cpu: float
    """What anyone else, or the host, took of the cores of these two."""
    note: str = ""
    figures: dict[str, float] = {}

    @property
    def rate(self) -> float:
        """Operations per second of wall time."""
        return self.operations / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds of the server per million operations, which is also us per operation."""
        return self.server_cpu / self.operations * 1e6

    def value(self, figure: str) -> float:
        """Return `rate`, `cpu_per_million` or one of `figures`."""
        known = {"rate": self.rate, "cpu_per_million": self.cpu_per_million}
        return (known | self.figures)[figure]


class Stopwatch:
    """Wall and CPU time of the server and of this process, from its making on."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cores = os.sched_getaffinity(0) | os.sched_getaffinity(pid)
        self._busy = proc.busy_seconds(self._cores)
        self._server = proc.cpu_seconds(pid)
        self._load = time.process_time()
        self._wall = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall time so far, in seconds."""
        return time.perf_counter() - self._wall

    def stop(self, operations: int, note: str = "", **figures: float) -> Measurement:
        """Return what `operations` cost until now."""
        seconds = self.seconds
        server = proc.cpu_seconds(self._pid) - self._server
        load = time.process_time() - self._load
        busy = proc.busy_seconds(self._cores) - self._busy
        return Measurement(
            operations=operations,
            seconds=seconds,
            server_cpu=server,
            load_cpu=load,
            others_cpu=max(0.0, busy - server - load),
            note=note,
            figures=figures,
        )


def percentiles(nanoseconds: list[int]) -> dict[str, float]:
    """Return the percentiles and the worst of `nanoseconds`, in microseconds."""
    ranked = sorted(nanoseconds)
    last = len(ranked) - 1
    places = PLACES | {"max_us": 1.0}
    return {name: ranked[round(share * last)] / 1000 for name, share in places.items()}


def steady(step: Callable[[], int], pid: int, timing: Timing) -> Measurement:
    """Repeat `step`, which returns operations done, and measure after the warm-up."""
    warm = Stopwatch(pid)
    while warm.seconds < timing.warmup:
        step()
    watch = Stopwatch(pid)
    operations = 0
    while watch.seconds < timing.seconds:
        operations += step()
    return watch.stop(operations)
