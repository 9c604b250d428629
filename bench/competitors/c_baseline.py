"""The C baseline: nothing but recv() and send(), which is what the kernel alone costs."""

from pathlib import Path
from typing import Final

from bench.host import CompileError, compile_c

_SOURCE: Final = Path(__file__).with_name("c_baseline.c")


class CBaselineProtocol:
    """What a server that reads no messages makes of the first byte of each: see `c_baseline.c`."""

    welcome = b"hello\n"
    ready = b""
    pong = b"ping\n"
    server_ping: tuple[bytes, bytes] | None = None

    def hello(self, _name: str) -> bytes:
        """Say hello; it comes back as it is."""
        return self.welcome

    def subscribe_to_all(self) -> bytes:
        """Everyone receives broadcasts."""
        return b""

    def subscribe_to_own(self, _name: str) -> bytes:
        """Everyone receives what is sent to it."""
        return b""

    def ping(self) -> bytes:
        """Say what comes back as it is."""
        return self.pong

    def broadcast(self, content: str) -> bytes:
        """Say what goes to all others."""
        return f"b{content}\n".encode()

    def broadcast_delivery(self, _author: str, content: str) -> bytes:
        """Return what the others receive: the same."""
        return self.broadcast(content)

    def direct(self, _to: str, content: str) -> bytes:
        """Say what goes to the one who came next; in all jobs that is the recipient."""
        return f"d{content}\n".encode()

    def direct_delivery(self, _author: str, to: str, content: str) -> bytes:
        """Return what that one receives: the same."""
        return self.direct(to, content)

    def author_reply(self, _receivers: int) -> bytes:
        """Publications are not acknowledged."""
        return b""


class CBaseline:
    """No server that people would use: what the kernel alone costs."""

    name = "c-baseline"
    protocol = CBaselineProtocol()

    def unavailable_reason(self) -> str | None:
        """Return why it cannot be compiled, if it cannot."""
        try:
            compile_c(_SOURCE)
        except CompileError as error:
            return str(error)
        return None

    def version(self) -> str:
        """Return what it is."""
        return "recv() and send() in C"

    def command(self, _directory: Path, port: str) -> list[str]:
        """Return the program, compiled."""
        return [str(compile_c(_SOURCE)), port]

    def settings(self, _directory: Path, _port: str) -> str:
        """It has none."""
        return ""
