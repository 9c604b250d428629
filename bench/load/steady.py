"""A load that goes on and on, measured when it has warmed up."""

from collections.abc import Sequence
from typing import Final

from msgspec import structs

from bench import histogram
from bench.failures import TimedOut
from bench.load import open_load
from bench.load.lane import Lane, Load
from bench.measurement import Measurement, Stopwatch, Target, Timing
from bench.sockets import PATIENCE

_STEP_S: Final = 0.25  # how often it is looked at whether anything still comes


def measure_steady(lanes: Sequence[Lane], target: Target, timing: Timing) -> Measurement:
    """Return what deliveries cost, and as figures how long they took.

    All that was said has been heard when this returns. Raises TimedOut where it was not, or where
    nothing is heard in all the time that is measured.
    """
    load = open_load(list(lanes))
    _run(load, timing.warmup)
    load.take_latencies()
    watch = Stopwatch(target.pid)
    heard = _run(load, timing.seconds)
    if not heard:
        raise TimedOut(f"nothing was heard in the {timing.seconds:g} s that were measured")
    measured = watch.stop(heard)
    took = load.take_latencies()
    if not load.finish(PATIENCE):
        raise TimedOut(f"not all that was said was heard within {PATIENCE:g} s")
    return structs.replace(measured, figures=histogram.percentiles(took))


def _run(load: Load, seconds: float) -> int:
    """Raises TimedOut where nothing is heard for a long time."""
    heard, left, silence = 0, seconds, 0.0
    while left > 0:
        step = min(left, _STEP_S)
        more = load.run(step)
        silence = 0.0 if more else silence + step
        if silence > PATIENCE:
            raise TimedOut(f"no listener heard anything for {PATIENCE:g} s")
        heard += more
        left -= step
    return heard
