"""The physical limit: nothing but recv() and send(), in C."""

from pathlib import Path
from typing import Final

from bench.compiler import NotCompiled, compiled

_SOURCE: Final = Path(__file__).with_name("limit.c")


class LimitDialect:
    """What a server that reads no messages makes of the first byte of each: see `limit.c`."""

    welcome = b"hello\n"
    ready = b""
    pong = b"ping\n"
    nudge: tuple[bytes, bytes] | None = None

    def hello(self, _name: str) -> bytes:
        """Come; it comes back as it is."""
        return self.welcome

    def hear_all(self) -> bytes:
        """Everyone hears broadcasts."""
        return b""

    def hear_own(self, _name: str) -> bytes:
        """Everyone hears what is sent to it."""
        return b""

    def ping(self) -> bytes:
        """Say what comes back as it is."""
        return self.pong

    def broadcast(self, content: str) -> bytes:
        """Say what goes to all others."""
        return f"b{content}\n".encode()

    def broadcast_heard(self, _author: str, content: str) -> bytes:
        """Return what the others hear: the same."""
        return self.broadcast(content)

    def direct(self, _to: str, content: str) -> bytes:
        """Say what goes to the one who came next; in all jobs that is the recipient."""
        return f"d{content}\n".encode()

    def direct_heard(self, _author: str, to: str, content: str) -> bytes:
        """Return what that one hears: the same."""
        return self.direct(to, content)

    def answer(self, _receivers: int) -> bytes:
        """Authors are told nothing."""
        return b""


class Limit:
    """No server that people would use: what the kernel alone costs."""

    name = "limit"
    dialect = LimitDialect()

    def obstacle(self) -> str | None:
        """Return why it cannot be compiled, if it cannot."""
        try:
            compiled(_SOURCE)
        except NotCompiled as fault:
            return str(fault)
        return None

    def version(self) -> str:
        """Return what it is."""
        return "recv() and send() in C"

    def command(self, _directory: Path, port: str) -> list[str]:
        """Return the program, compiled."""
        return [str(compiled(_SOURCE)), port]

    def settings(self, _directory: Path, _port: str) -> str:
        """It has none."""
        return ""
