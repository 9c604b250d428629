"""``chatctl`` on a terminal: a bare one with the bytes, and an emulator with the picture."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import pexpect

from tests.support.daemon_process import Daemon
from tests.support.processes import TIMEOUT, wait_until
from tests.support.programs import require

PROMPT: Final = "enter your message>"

_STYLES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def chatctl(*words: str) -> list[str]:
    """Return the command line of a chat."""
    return [sys.executable, "-W", "error", "-m", "chatctl", *words]


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment in which nothing is set that the person running the tests has set."""
    mine = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CHATCTL_", "PROMPT_TOOLKIT", "NO_COLOR", "TMUX"))
    }
    places = {"XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config")}
    return mine | places | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"} | more


class Terminal:
    """A terminal that understands no escape sequence and answers none."""

    def __init__(self, words: list[str], env: Mapping[str, str]) -> None:
        command, *arguments = chatctl(*words)
        self._child = pexpect.spawn(
            command, arguments, env=env, encoding="utf-8", dimensions=(24, 80), echo=False
        )
        self._child.delaybeforesend = None
        self.raw = ""
        """Every byte so far."""
        self._seen = 0

    @property
    def text(self) -> str:
        """What was written so far, without styles and movements."""
        return _STYLES.sub("", self.raw).replace("\r", "")

    def expect(self, expected: str) -> str:
        """Wait for `expected` behind what was seen before; return the text up to its end."""
        while (at := self.text.find(expected, self._seen)) < 0:
            try:
                self.raw += self._child.read_nonblocking(65536, timeout=TIMEOUT)
            except (pexpect.EOF, pexpect.TIMEOUT):
                raise AssertionError(f"{expected!r} does not come: {self.text!r}") from None
        begin, self._seen = self._seen, at + len(expected)
        return self.text[begin : self._seen]

    def type(self, keys: str) -> None:
        """Press keys."""
        self._child.send(keys)

    def enter(self, line: str) -> None:
        """Type a line."""
        self.type(f"{line}\r")

    def paste(self, text: str) -> None:
        """Paste text as a terminal does that marks what is pasted."""
        self.type(f"\x1b[200~{text}\x1b[201~")

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the window."""
        self._child.setwinsize(rows, columns)

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        self.raw += self._child.read()
        self._child.close()
        return int(self._child.exitstatus if self._child.exitstatus is not None else -1)

    def kill(self) -> None:
        """Kill it."""
        self._child.kill(signal.SIGKILL)
        self._child.wait()

    def close(self) -> None:
        """End it, however it is."""
        self._child.close(force=True)


class TmuxTerminal:
    """A terminal emulator: what it shows is what a person would see."""

    def __init__(self, words: list[str], env: Mapping[str, str], socket: Path) -> None:
        self._tmux = [require("tmux"), "-u", "-f", "/dev/null", "-S", str(socket)]
        command = shlex.join(chatctl(*words))
        session = ["new-session", "-d", "-x", "100", "-y", "20", command]
        subprocess.run([*self._tmux, *session], env=env, check=True, timeout=TIMEOUT)

    def type(self, text: str) -> None:
        """Press the keys of a text."""
        self._run("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Press keys by their names."""
        self._run("send-keys", *keys)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window."""
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self, *, scrolled: bool = False) -> list[str]:
        """Return the lines it shows; with `scrolled` all that have scrolled away too."""
        lines = self._run("capture-pane", "-p", *(("-S", "-") if scrolled else ())).split("\n")
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def wait_for(self, *expected: str) -> list[str]:
        """Wait until its last lines are `expected`, where … stands for anything; return all."""
        patterns = [re.escape(line).replace("…", ".*") for line in expected]
        lines: list[str] = []

        def is_shown() -> bool:
            lines[:] = self.screen()
            last = lines[-len(expected) :]
            return len(last) == len(patterns) and all(map(re.fullmatch, patterns, last))

        wait_until(is_shown, lambda: "\n".join(lines))
        return lines

    def close(self) -> None:
        """Close the window and end what runs in it."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self._run("kill-server")

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [*self._tmux, *words], capture_output=True, text=True, check=True, timeout=TIMEOUT
        )
        return done.stdout


class Terminals:
    """A home directory and the terminals opened in it; leaving the context closes them all."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def run(self, *words: str, **env: str) -> Terminal:
        """Start ``chatctl`` with these words on a bare terminal."""
        terminal = Terminal(list(words), environment(self._home, **env))
        self._open.callback(terminal.close)
        return terminal

    def chat(self, daemon: Daemon, name: str, *options: str, **env: str) -> Terminal:
        """Start a chat and wait for its prompt."""
        terminal = self.run("chat", daemon.host, str(daemon.port), name, *options, **env)
        terminal.expect(PROMPT)
        return terminal

    def watch(self, daemon: Daemon, name: str) -> TmuxTerminal:
        """Start a chat in a terminal emulator and wait for its prompt."""
        # A socket's path may have some 100 bytes, which pytest's own folders can exceed.
        folder = self._open.enter_context(tempfile.TemporaryDirectory())
        words = ["chat", daemon.host, str(daemon.port), name]
        terminal = TmuxTerminal(words, environment(self._home), Path(folder) / "tmux")
        self._open.callback(terminal.close)
        terminal.wait_for(PROMPT)
        return terminal
