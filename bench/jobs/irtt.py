"""irtt, which measures round trips at an interval as exchanges do: how punctual it is."""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct, structs

from bench.failures import WrongAnswer
from bench.foreign.irtt import Irtt
from bench.jobs.job import Goal
from bench.measurement import Measurement, Stopwatch, Target, Timing, percentiles

_INTERVAL_MS: Final = 10
_INTERVAL_NS: Final = _INTERVAL_MS * 1_000_000
_PATIENCE_S: Final = 10.0  # beyond the time it is told to run


class IrttExchange(Struct, frozen=True):
    """One irtt client sends a packet every 10 ms, which the server sends back.

    Here it is the client that keeps time, so lateness is the client's, on the load's core: packet
    n is due at start + n x interval, and the most punctual counts as on time, as in `Exchanges`.
    """

    name: str
    goal: Goal | None = None
    unit: str = "packets each way"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Run one client from beginning to end."""
        with TemporaryDirectory(prefix="bench-irtt-") as directory:
            file = Path(directory) / "out.json"
            watch = Stopwatch(target.pid)
            told = subprocess.run(
                [
                    Irtt().path() or Irtt.program, "client", "-Q", "-i", f"{_INTERVAL_MS}ms",
                    "-d", f"{timing.seconds:g}s", "-o", str(file), f"{target.host}:{target.port}",
                ],
                capture_output=True, text=True, check=False,
                timeout=timing.seconds + _PATIENCE_S,
            )  # fmt: skip
            if told.returncode:
                raise WrongAnswer(f"irtt failed: {told.stderr.strip() or told.stdout.strip()}")
            trips = json.loads(file.read_text())["round_trips"]
        measured = watch.stop(len(trips))
        sent = [trip["timestamps"]["client"]["send"]["monotonic"] for trip in trips]
        phases = [at - number * _INTERVAL_NS for number, at in enumerate(sent)]
        return structs.replace(measured, figures=percentiles([at - min(phases) for at in phases]))
