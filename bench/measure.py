"""One measured run of a job: operations, CPU, latencies; the load has a process of its own."""

import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Final, Protocol

from msgspec import Struct

from bench import host
from bench.errors import BenchError, BenchTimeoutError, WrongAnswerError
from bench.protocols import WireProtocol


class Target(Struct, frozen=True):
    """A running server, as a job sees it."""

    host: str
    port: int
    pid: int
    protocol: WireProtocol


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
    """Wall and CPU time of the server and of this process, from its creation on."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cores = os.sched_getaffinity(0) | os.sched_getaffinity(pid)
        self._busy = host.busy_seconds(self._cores)
        self._server = host.cpu_seconds(pid)
        self._load = time.process_time()
        self._wall = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall time so far, in seconds."""
        return time.perf_counter() - self._wall

    def stop(self, operations: int, note: str = "", **figures: float) -> Measurement:
        """Return what `operations` cost until now."""
        seconds = self.seconds
        server = host.cpu_seconds(self._pid) - self._server
        load = time.process_time() - self._load
        busy = host.busy_seconds(self._cores) - self._busy
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
    places = PERCENTILES | {"max_us": 1.0}
    return {name: ranked[round(share * last)] / 1000 for name, share in places.items()}


def measure_steps(step: Callable[[], int], pid: int, timing: Timing) -> Measurement:
    """Repeat `step`, which returns operations done, and measure after the warm-up."""
    warm = Stopwatch(pid)
    while warm.seconds < timing.warmup:
        step()
    watch = Stopwatch(pid)
    operations = 0
    while watch.seconds < timing.seconds:
        operations += step()
    return watch.stop(operations)


class Goal(Struct, frozen=True):
    """A bound for one figure of a job: `rate`, `cpu_per_million` or one of its own."""

    figure: str
    bound: float
    at_least: bool = True

    def met(self, value: float) -> bool:
        """Whether `value` is on the right side of the bound."""
        return value >= self.bound if self.at_least else value <= self.bound


class Job(Protocol):
    """A load with a name; it is sent to another process, so it holds nothing but settings."""

    @property
    def name(self) -> str:
        """The word that chooses it on the command line."""
        ...

    @property
    def unit(self) -> str:
        """What one operation is, in the plural."""
        ...

    @property
    def goal(self) -> Goal | None:
        """What is aimed at, if anything."""
        ...

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Load `target` and measure it; called in a process and on a core of its own."""
        ...


BUCKETS: Final = 2_048
_FINE: Final = 5
_IN_A_POWER: Final = 1 << _FINE

PERCENTILES: Final = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999}
"""The percentiles that are reported, and the shares they stand for."""


def bucket(ns: int) -> int:
    """Return the bucket of `ns`: thirty-two buckets for each power of two, 3 % wide each."""
    if ns < _IN_A_POWER:
        return max(0, ns)
    power = ns.bit_length() - 1
    return (power - _FINE + 1) * _IN_A_POWER + (ns >> (power - _FINE)) % _IN_A_POWER


def midpoint(number: int) -> float:
    """Return the middle (ns) of bucket `number`, within 2 % of what was counted there."""
    if number < 2 * _IN_A_POWER:
        return float(number)
    power, step = divmod(number, _IN_A_POWER)
    width = 1 << (power - 1)
    return (_IN_A_POWER + step) * width + width / 2


def histogram_percentiles(counts: Sequence[int]) -> dict[str, float]:
    """Return `PERCENTILES` and the worst of what was counted, in us; {} if nothing was."""
    total = sum(counts)
    if not total:
        return {}
    wanted = {name: share * total for name, share in PERCENTILES.items()} | {"max_us": float(total)}
    found: dict[str, float] = {}
    passed = 0
    for number, count in enumerate(counts):
        passed += count
        for name, place in wanted.items():
            if name not in found and passed >= place:
                found[name] = midpoint(number) / 1000
    return found


_SETUP_S = 60.0  # to open connections before and to check them after the measured time


def measure_in_process(job: Job, target: Target, timing: Timing, core: int) -> Measurement:
    """Run `job` against `target` in a new process on `core`.

    Raises BenchError as the job raised it, BenchTimeoutError when the process takes far too long.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(job, target, timing, core, sender), daemon=True)
    process.start()
    sender.close()
    try:
        allowed = timing.warmup + timing.seconds + _SETUP_S
        if not receiver.poll(allowed):
            raise BenchTimeoutError(f"{job.name} was not done within {allowed:g} s")
        outcome = receiver.recv()
    except EOFError:
        raise BenchError(f"the load of {job.name} died; its traceback is above") from None
    finally:
        process.kill()
        process.join()
    if isinstance(outcome, BenchError):
        raise outcome
    assert isinstance(outcome, Measurement)
    return outcome


def _run(job: Job, target: Target, timing: Timing, core: int, result: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt ends
    os.sched_setaffinity(0, {core})
    gc.disable()  # a collection would look like a slow server
    try:
        result.send(job.run(target, timing))
    except BenchError as error:
        result.send(error)
    except OSError as error:
        result.send(WrongAnswerError(f"connection lost: {error}"))
