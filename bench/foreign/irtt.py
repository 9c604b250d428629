"""irtt: isochronous round trips over UDP."""

from pathlib import Path

from bench.foreign.limit import LimitDialect
from bench.foreign.program import Program


class Irtt(Program):
    """The irtt server, which sends every datagram back; only irtt's own client speaks to it."""

    name = "irtt"
    program = "irtt"
    installed_by = "apt-get install irtt"
    dialect = LimitDialect()

    def version_arguments(self) -> list[str]:
        """Return what makes it tell its version."""
        return ["version"]

    def command(self, _directory: Path, port: str) -> list[str]:
        """Return the command that makes it listen on `port`."""
        return [self.path() or self.program, "server", "-b", f"127.0.0.1:{port}"]
