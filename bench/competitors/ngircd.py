"""ngIRCd: one channel for everyone, private messages between two."""

from pathlib import Path
from typing import ClassVar

from bench.competitors.base import Program

_HOST = "127.0.0.1"
_SERVER = "bench.localhost"


class IrcProtocol:
    """The client protocol of IRC (RFC 2812)."""

    welcome = b":End of MOTD command\r\n"
    ready = b":End of NAMES list\r\n"
    pong = f":{_SERVER} PONG {_SERVER} :1\r\n".encode()
    server_ping: tuple[bytes, bytes] | None = None

    def hello(self, name: str) -> bytes:
        """Register as `name`; the answer ends with the message of the day."""
        return f"NICK {name}\r\nUSER {name} 0 * :{name}\r\n".encode()

    def subscribe_to_all(self) -> bytes:
        """Join the channel."""
        return b"JOIN #all\r\n"

    def subscribe_to_own(self, _name: str) -> bytes:
        """Everyone receives what is sent to them alone."""
        return b""

    def ping(self) -> bytes:
        """Ask for a `PONG`."""
        return b"PING :1\r\n"

    def broadcast(self, content: str) -> bytes:
        """Talk to the channel."""
        return f"PRIVMSG #all :{content}\r\n".encode()

    def broadcast_delivery(self, author: str, content: str) -> bytes:
        """Return what the others in the channel receive."""
        return f":{author}!~{author}@{_HOST} PRIVMSG #all :{content}\r\n".encode()

    def direct(self, to: str, content: str) -> bytes:
        """Talk to one."""
        return f"PRIVMSG {to} :{content}\r\n".encode()

    def direct_delivery(self, author: str, to: str, content: str) -> bytes:
        """Return what this one receives."""
        return f":{author}!~{author}@{_HOST} PRIVMSG {to} :{content}\r\n".encode()

    def author_reply(self, _receivers: int) -> bytes:
        """Publications are not acknowledged."""
        return b""


class Ngircd(Program):
    """ngircd without penalties, limits and look-ups of names."""

    name = "ngircd"
    program = "ngircd"
    installed_by = "apt-get install ngircd"
    protocol = IrcProtocol()
    config: ClassVar[str] = """\
[Global]
Name = bench.localhost
Info = bench
Listen = 127.0.0.1
Ports = {port}
MotdPhrase = hello
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxPenaltyTime = 0
PingTimeout = 3600
[Options]
DNS = no
Ident = no
PAM = no
PredefChannelsOnly = no
"""

    def arguments(self, config: Path) -> list[str]:
        """Return the path of its configuration, and that it stays in the foreground."""
        return ["--nodaemon", "--config", str(config)]
