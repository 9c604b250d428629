"""Mosquitto: MQTT 3.1.1 at QoS 0."""

from pathlib import Path
from typing import ClassVar

from bench.competitors.base import Program

_CONNECT, _PUBLISH, _SUBSCRIBE, _PINGREQ = 0x10, 0x30, 0x82, 0xC0
_CLEAN_SESSION = 2
_PACKET_ID = b"\0\1"


def _packet(kind: int, body: bytes) -> bytes:
    """Return a control packet; its length comes first, seven bits a byte, the lowest first."""
    length, left = bytearray(), len(body)
    while left > 0x7F:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([kind, *length, left]) + body


def _text(word: str) -> bytes:
    return len(word).to_bytes(2, "big") + word.encode()


class MqttProtocol:
    """Packets of MQTT 3.1.1 (OASIS, 2014)."""

    welcome = bytes([0x20, 2, 0, 0])
    ready = bytes([0x90, 3, *_PACKET_ID, 0])
    pong = bytes([0xD0, 0])
    server_ping: tuple[bytes, bytes] | None = None

    def hello(self, name: str) -> bytes:
        """Connect as `name` with a clean session and without a keep-alive."""
        protocol = _text("MQTT") + bytes([4, _CLEAN_SESSION, 0, 0])
        return _packet(_CONNECT, protocol + _text(name))

    def subscribe_to_all(self) -> bytes:
        """Subscribe to the topic of broadcasts."""
        return _packet(_SUBSCRIBE, _PACKET_ID + _text("all") + b"\0")

    def subscribe_to_own(self, name: str) -> bytes:
        """Subscribe to the topic of one's own."""
        return _packet(_SUBSCRIBE, _PACKET_ID + _text(f"to/{name}") + b"\0")

    def ping(self) -> bytes:
        """Ask for a PINGRESP."""
        return _packet(_PINGREQ, b"")

    def broadcast(self, content: str) -> bytes:
        """Publish to everyone."""
        return _packet(_PUBLISH, _text("all") + content.encode())

    def broadcast_delivery(self, _author: str, content: str) -> bytes:
        """Return what subscribers receive: the same."""
        return self.broadcast(content)

    def direct(self, to: str, content: str) -> bytes:
        """Publish to one."""
        return _packet(_PUBLISH, _text(f"to/{to}") + content.encode())

    def direct_delivery(self, _author: str, to: str, content: str) -> bytes:
        """Return what this one receives: the same."""
        return self.direct(to, content)

    def author_reply(self, _receivers: int) -> bytes:
        """Publications are not acknowledged at QoS 0."""
        return b""


class Mosquitto(Program):
    """mosquitto without persistence, log and queue limits; without Nagle's delay, as the others."""

    name = "mosquitto"
    program = "mosquitto"
    installed_by = "apt-get install mosquitto"
    protocol = MqttProtocol()
    config: ClassVar[str] = """\
receiver {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 0
max_inflight_messages 0
sys_interval 0
log_type error
"""

    def version_arguments(self) -> list[str]:
        """Return the arguments that print its version: it is the first line of its help."""
        return ["-h"]

    def arguments(self, config: Path) -> list[str]:
        """Return the path of its configuration."""
        return ["-c", str(config)]
