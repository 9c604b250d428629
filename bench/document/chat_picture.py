"""Take the picture of `chatctl chat` for the README: a real daemon, two real chats, in tmux.

    .venv/bin/python -m bench.document.chat_picture docs/images/chat.svg

Needs tmux. The daemon listens on the usual port, so stop yours first.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.document.terminal_svg import Window, draw

_COLUMNS: Final = 58
_ROWS: Final = 12
_TIMEOUT: Final = 20.0
_PROMPT: Final = "enter your message>"

_DESCRIPTION: Final = (
    "Two terminals with chatctl chat, one of ann and one of bob: messages to everyone and to one"
    " person, each own message with a tick and the time to its acknowledgement."
)


class Chat:
    """A `chatctl chat` in a tmux session of its own."""

    def __init__(self, tmux: list[str], name: str) -> None:
        self.name = name
        self._tmux = tmux
        command = shlex.join([sys.executable, "-m", "chatctl", "chat", name])
        size = ("-x", str(_COLUMNS), "-y", str(_ROWS))
        self._run("new-session", "-d", "-s", name, *size, command)
        self.wait_for(_PROMPT)

    def say(self, text: str) -> None:
        """Send a message and wait for its acknowledgement."""
        self.type(text)
        self._run("send-keys", "-t", self.name, "Enter")
        self.wait_for(text.partition("|")[2] or text, "✓")

    def type(self, text: str) -> None:
        """Type without pressing Enter."""
        self._run("send-keys", "-t", self.name, "-l", text)
        self.wait_for(text)

    def wait_for(self, *texts: str) -> None:
        """Wait for a line with all of `texts`."""
        deadline = time.monotonic() + _TIMEOUT
        while not any(all(text in line for text in texts) for line in self._lines()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} does not see {texts}: {self._lines()}")
            time.sleep(0.05)  # a pane of tmux can only be polled

    def window(self) -> Window:
        """Return what the terminal shows, with its styles."""
        return Window(f"chatctl chat {self.name}", _COLUMNS, _ROWS, self._lines("-e"))

    def _lines(self, *options: str) -> list[str]:
        return self._run("capture-pane", "-t", self.name, "-p", *options).split("\n")

    def _run(self, *words: str) -> str:
        done = subprocess.run([*self._tmux, *words], check=True, capture_output=True, text=True)
        return done.stdout


def converse(ann: Chat, bob: Chat) -> None:
    """Play the conversation that the picture shows."""
    bob.say("build 412 is green, shipping at noon")
    ann.wait_for("shipping at noon")
    time.sleep(1.2)  # so that the seconds since the author connected differ
    ann.say("great, I'll watch the graphs")
    ann.say("bob|lunch afterwards?")
    bob.wait_for("lunch afterwards?")
    time.sleep(1.6)  # as above
    bob.say("ann|yes, the usual place")
    ann.wait_for("the usual place")
    bob.say("rolling out now")
    ann.wait_for("rolling out now")
    ann.type("p99 is fl")


@contextmanager
def running_daemon(folder: Path) -> Iterator[None]:
    """Run a daemon on the usual port."""
    command = [sys.executable, "-m", "chatd", "--log", "memory", "--data", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        try:
            if not (daemon.stdout and daemon.stdout.readline()):
                raise OSError("the daemon does not start; is the port in use?")
            yield
        finally:
            daemon.terminate()


@contextmanager
def running_tmux(folder: Path) -> Iterator[list[str]]:
    """Run a tmux server that knows nothing of the person who starts it."""
    os.environ.update(XDG_STATE_HOME=str(folder), LC_ALL="C.UTF-8", TERM="xterm-256color")
    tmux = ["tmux", "-u", "-f", "/dev/null", "-S", str(folder / "tmux")]
    try:
        yield tmux
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, stderr=subprocess.DEVNULL)


def main() -> int:
    """Write the picture that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("picture", type=Path, help="the SVG file to write")
    picture: Path = parser.parse_args().picture
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_daemon(folder / "chatd"), running_tmux(folder) as tmux:
            ann, bob = Chat(tmux, "ann"), Chat(tmux, "bob")
            converse(ann, bob)
            windows = [ann.window(), bob.window()]
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(draw(windows, _DESCRIPTION))
    print(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
