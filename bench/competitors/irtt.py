"""irtt, isochronous round trips over UDP: how punctual it is beside timestamp exchanges."""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct, structs

from bench.competitors.base import Program
from bench.competitors.c_baseline import CBaselineProtocol
from bench.errors import WrongAnswerError
from bench.measure import Goal, Measurement, Stopwatch, Target, Timing, percentiles


class Irtt(Program):
    """The irtt server, which sends every datagram back; only irtt's own client sends to it."""

    name = "irtt"
    program = "irtt"
    installed_by = "apt-get install irtt"
    protocol = CBaselineProtocol()

    def version_arguments(self) -> list[str]:
        """Return the arguments that print its version."""
        return ["version"]

    def command(self, _directory: Path, port: str) -> list[str]:
        """Return the command that makes it listen on `port`."""
        return [self.path() or self.program, "server", "-b", f"127.0.0.1:{port}"]


_INTERVAL_MS: Final = 10
_INTERVAL_NS: Final = _INTERVAL_MS * 1_000_000
_TIMEOUT_S: Final = 10.0  # beyond the time it is to run


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
            completed = subprocess.run(
                [
                    Irtt().path() or Irtt.program, "client", "-Q", "-i", f"{_INTERVAL_MS}ms",
                    "-d", f"{timing.seconds:g}s", "-o", str(file), f"{target.host}:{target.port}",
                ],
                capture_output=True, text=True, check=False,
                timeout=timing.seconds + _TIMEOUT_S,
            )  # fmt: skip
            if completed.returncode:
                raise WrongAnswerError(
                    f"irtt failed: {completed.stderr.strip() or completed.stdout.strip()}"
                )
            trips = json.loads(file.read_text())["round_trips"]
        measured = watch.stop(len(trips))
        sent = [trip["timestamps"]["client"]["send"]["monotonic"] for trip in trips]
        phases = [at - number * _INTERVAL_NS for number, at in enumerate(sent)]
        return structs.replace(measured, figures=percentiles([at - min(phases) for at in phases]))
