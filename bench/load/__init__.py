"""The load of a server: messages in flight on many sockets, every byte that comes back compared."""

from collections.abc import Sequence
from typing import Final

from msgspec import structs

from bench import measure
from bench.errors import BenchTimeoutError
from bench.host import CompileError
from bench.load.base import Flow, Load
from bench.load.native import NativeLoad
from bench.load.pure_python import PurePythonLoad
from bench.measure import Measurement, Stopwatch, Target, Timing
from bench.sockets import TIMEOUT


def open_load(flows: list[Flow]) -> Load:
    """Return the load that is compiled, or where nothing can be, the one that is not."""
    try:
        return NativeLoad(flows)
    except CompileError:
        return PurePythonLoad(flows)


_STEP_S: Final = 0.25  # how often it is looked at whether anything still comes


def measure_flows(flows: Sequence[Flow], target: Target, timing: Timing) -> Measurement:
    """Return what deliveries cost, and as figures how long they took.

    All that was sent has been received when this returns. Raises BenchTimeoutError where it was
    not, or where nothing is received in all the time that is measured.
    """
    load = open_load(list(flows))
    _run(load, timing.warmup)
    load.take_latencies()
    watch = Stopwatch(target.pid)
    received = _run(load, timing.seconds)
    if not received:
        raise BenchTimeoutError(
            f"nothing was received in the {timing.seconds:g} s that were measured"
        )
    measured = watch.stop(received)
    took = load.take_latencies()
    if not load.finish(TIMEOUT):
        raise BenchTimeoutError(f"not all that was sent was received within {TIMEOUT:g} s")
    return structs.replace(measured, figures=measure.histogram_percentiles(took))


def _run(load: Load, seconds: float) -> int:
    """Raises BenchTimeoutError where nothing is received for a long time."""
    received, left, silence = 0, seconds, 0.0
    while left > 0:
        step = min(left, _STEP_S)
        more = load.run(step)
        silence = 0.0 if more else silence + step
        if silence > TIMEOUT:
            raise BenchTimeoutError(f"no receiver received anything for {TIMEOUT:g} s")
        received += more
        left -= step
    return received
