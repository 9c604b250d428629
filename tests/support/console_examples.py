"""The console examples of a document, run the way a reader would run them.

A `console` block holds commands behind `$` and what they print. A `python` block with a file name
is a program that later commands may run. The words behind `console` in a block's source say how a
test takes it: `daemon`, `netcat` and `chat` are terminals that the reader keeps open; `numbers` is
for an output in which any number may differ; `share` is for the report of a share, whose events
come in no fixed order either.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.daemon_process import Daemon
from tests.support.processes import TIMEOUT
from tests.support.programs import require
from tests.support.terminal import environment

_FENCE: Final = re.compile(r"^```(console|python)(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_END_OF_COMMAND: Final = "--- end of command ---"

_VARYING: Final = tuple(
    (re.compile(pattern, re.MULTILINE), replacement)
    for pattern, replacement in (
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+Z)?", "<date and time>"),
        (r"\d\d:\d\d:\d\d", "<time>"),
        (r'"since":\d+,"ref":"[^"]+"', '"since":<seconds>,"ref":"<ref>"'),
        (r"127\.0\.0\.1(:|, )\d+", r"127.0.0.1\1<port>"),
        (r"^(punctuality|lower bound) .*", r"\1 <depends on the machine>"),
        (r"^\d+ (\S+ )?(\(to you\) )?<", r"<seconds> \1\2<"),
        (r"(?<![\w.])[+-]?\d+(\.\d+)? ?(us|ms|s)\b", "<duration>"),
        (r"[+-]?\d+\.\d+(e[+-]\d+)?", "<number>"),
        (r" +", " "),
        (r" $", ""),
    )
)
_ANY_NUMBER: Final = re.compile(r"<number>|<duration>|\d+")
_LEFT: Final = re.compile(r"^chatctl: peer # left\n| left$", re.MULTILINE)
"""Whether a peer has left already when this one ends differs from run to run."""


class Block(NamedTuple):
    """A fenced block: its language, the words behind it, its text."""

    language: str
    words: tuple[str, ...]
    text: str

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield each command with what it prints."""
        for entry in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, output = entry.partition("\n")
            while command.endswith("\\"):
                more, _, output = output.partition("\n")
                command = f"{command}\n{more}"
            yield command, output

    def normalized(self, output: str) -> str:
        """Return an output of this block without what differs from run to run."""
        for pattern, replacement in _VARYING:
            output = pattern.sub(replacement, output)
        if {"numbers", "share"} & set(self.words):
            output = _ANY_NUMBER.sub("#", output)
        if "share" in self.words:
            output = "".join(sorted(_LEFT.sub("", output).splitlines(keepends=True)))
        return output


def blocks(document: Path) -> Iterator[Block]:
    """Yield the console and Python blocks of a Markdown file in their order."""
    for match in _FENCE.finditer(document.read_text()):
        yield Block(match[1], tuple(match[2].split()), match[3])


class Reader:
    """A reader called ann, with a home directory, a checkout to work in, and a shell.

    The daemon of the documents listens on the usual port. Here `daemon` listens on a free one, to
    which the programs in `.venv/bin` and netcat are redirected.
    """

    def __init__(self, home: Path, daemon: Daemon) -> None:
        self.home = home
        self._daemon = daemon
        self._folder = home / "chatd"
        (home / ".local").mkdir(parents=True)
        (home / ".local" / "state").symlink_to(home / "state")
        scripts = self._folder / ".venv" / "bin"
        scripts.mkdir(parents=True)
        python = shlex.quote(sys.executable)
        for name, command in (
            ("chatctl", f"{python} -W error -m chatctl"),
            ("chatd", f"{python} -W error -m chatd"),
            ("python", python),
        ):
            script = scripts / name
            script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            script.chmod(0o755)
        (scripts / "activate").write_text(f"PATH={shlex.quote(str(scripts))}:$PATH\n")
        self.environment = environment(
            home,
            HOME=str(home),
            LOGNAME="ann",
            CHATCTL_SERVER=f"{daemon.host}:{daemon.port}",
            CHATCTL_TIMEOUT=f"{TIMEOUT:.0f}s",
            PATH=f"{scripts}:{os.environ['PATH']}",
        )

    def save(self, name: str, content: str | bytes) -> None:
        """Write a file into the checkout."""
        raw = content if isinstance(content, bytes) else content.encode()
        (self._folder / name).write_bytes(raw)

    def here(self, text: str) -> str:
        """Return a command or a program with the address of the daemon that runs here."""
        text = text.replace("localhost 5555", f"{self._daemon.host} {self._daemon.port}")
        return text.replace('"127.0.0.1", 5555', f'"{self._daemon.host}", {self._daemon.port}')

    def run(self, *commands: str) -> list[str]:
        """Run the commands of one block in one shell; return what each of them prints.

        A command that ends with `&` goes on while the others run, and ends with the shell.
        """
        if any("nc " in command for command in commands):
            require("nc")
        script = "".join(f"{self.here(each)}\necho '{_END_OF_COMMAND}'\n" for each in commands)
        done = subprocess.run(
            ["bash", "-c", f"{script}wait"],
            cwd=self._folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * TIMEOUT,
            check=False,
        )
        *outputs, _ = done.stdout.split(f"{_END_OF_COMMAND}\n")
        return [output.replace(str(self.home), "/home/ann") for output in outputs]

    def follow(self, block: Block) -> Iterator[str]:
        """Do what a block shows; yield each command that prints something else, and what it is."""
        if block.language == "python":
            self.save(block.words[0], self.here(block.text))
            return
        shown = list(block.commands())
        printed = self.run(*(command for command, _ in shown))
        for (command, expected), output in zip(shown, printed, strict=True):
            if block.normalized(output) != block.normalized(expected):
                yield f"$ {command}\n{output}"
