"""A server that others wrote, as the benchmark starts it: in the foreground, on loopback."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar, Final

from bench.protocols import WireProtocol

CONFIG: Final = "config"
"""The file in a server's directory that holds its settings."""


class Program:
    """What all candidates have in common that are programs of this machine.

    `config` is what its configuration file holds; `{port}` and `{directory}` are filled in.
    """

    name: ClassVar[str]
    program: ClassVar[str]
    installed_by: ClassVar[str]
    """The command that installs it."""
    config: ClassVar[str] = ""
    protocol: WireProtocol

    def path(self) -> str | None:
        """Return where it is installed, if it is; some live where only root looks for programs."""
        beside_python = str(Path(sys.executable).parent)
        for where in (None, beside_python, "/usr/local/sbin:/usr/sbin"):
            if found := shutil.which(self.program, path=where):
                return found
        return None

    def unavailable_reason(self) -> str | None:
        """Return why it cannot be measured here and what to do, or None."""
        if self.path():
            return None
        return f"{self.program} is not installed: {self.installed_by}"

    def version(self) -> str:
        """Return the first line of its version output."""
        completed = subprocess.run(
            [self.path() or self.program, *self.version_arguments()],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
        return (completed.stdout or completed.stderr).partition("\n")[0].strip()

    def version_arguments(self) -> list[str]:
        """Return the arguments that print its version and end."""
        return ["--version"]

    def command(self, directory: Path, _port: str) -> list[str]:
        """Return the command that starts it as its configuration says."""
        return [self.path() or self.program, *self.arguments(directory / CONFIG)]

    def arguments(self, config: Path) -> list[str]:
        """Return what makes it read `config` and stay in the foreground."""
        return [str(config)]

    def settings(self, directory: Path, port: str) -> str:
        """Return its configuration."""
        return self.config.replace("{port}", port).replace("{directory}", str(directory))
