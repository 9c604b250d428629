"""NATS JetStream: a stream in files, whose publishers are told the place of each message."""

import json

from bench.dialects import ANY
from bench.foreign.nats import Nats, NatsDialect
from bench.measurement import Target
from bench.sockets import author, hear_until
from bench.tape import Tape, repeated

_STREAM = "S"
_FIRST = 1_000_000_001
"""Where the stream counts from, so that all places have as many digits."""


class JetStreamDialect(NatsDialect):
    """Publishing with a reply subject, on which the acknowledgement comes."""

    def prepare(self, target: Target) -> None:
        """Make the stream."""
        wish = {"name": _STREAM, "subjects": ["kept.*"], "storage": "file", "first_seq": _FIRST}
        config = json.dumps(wish).encode()
        with author(target, "maker") as maker:
            maker.sendall(b"SUB made 1\r\n")
            create = f"PUB $JS.API.STREAM.CREATE.{_STREAM} made {len(config)}\r\n"
            maker.sendall(create.encode() + config + b"\r\n")
            hear_until(maker, b'"did_create":true}\r\n')

    def introduce(self, name: str) -> bytes:
        """Come as `name` and listen where acknowledgements come."""
        return self.hello(name).replace(b"PING", f"SUB ack.{name} 1\r\nPING".encode())

    def kept(self, name: str, _count: int, size: int) -> Tape:
        """Return what `name` publishes, which may be the same again and again."""
        content = "." * size
        return repeated(f"PUB kept.{name} ack.{name} {size}\r\n{content}\r\n".encode(), 64)

    def acknowledged(self, name: str, _count: int) -> Tape:
        """Return what it is told of each."""
        place = b'{"stream":"%b","seq":%b}' % (_STREAM.encode(), ANY * 10)
        return repeated(b"MSG ack.%b 1 %d\r\n%b\r\n" % (name.encode(), len(place), place), 64)


_CONFIG = """
jetstream: {{
    store_dir: "{{directory}}/jetstream"
    sync_interval: {sync}
}}
"""


class JetStream(Nats):
    """nats-server with a stream in files, flushed every two minutes as is its default."""

    name = "nats-file"
    dialect = JetStreamDialect()
    config = Nats.config + _CONFIG.format(sync="2m")


class JetStreamAlways(JetStream):
    """The same, flushed before each message is acknowledged."""

    name = "nats-file-always"
    config = Nats.config + _CONFIG.format(sync="always")
