"""Redis: publish and subscribe, in the third version of its protocol."""

from typing import ClassVar

from bench.competitors.base import Program


def _command(*words: str) -> bytes:
    parts = [f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words)]
    return "".join(parts).encode()


class RedisProtocol:
    """RESP3, in which a subscriber may say everything that others may."""

    welcome = b"$7\r\nmodules\r\n*0\r\n"
    ready = b":1\r\n"
    pong = b"+PONG\r\n"
    server_ping: tuple[bytes, bytes] | None = None

    def hello(self, name: str) -> bytes:
        """Ask for RESP3; the answer ends with the modules that are loaded: none."""
        return _command("HELLO", "3", "SETNAME", name)

    def subscribe_to_all(self) -> bytes:
        """Subscribe to the channel of broadcasts."""
        return _command("SUBSCRIBE", "all")

    def subscribe_to_own(self, name: str) -> bytes:
        """Subscribe to the channel of one's own."""
        return _command("SUBSCRIBE", f"to.{name}")

    def ping(self) -> bytes:
        """Ask for a `PONG`."""
        return _command("PING")

    def broadcast(self, content: str) -> bytes:
        """Publish to everyone."""
        return _command("PUBLISH", "all", content)

    def broadcast_delivery(self, _author: str, content: str) -> bytes:
        """Return what subscribers receive."""
        return b">" + _command("message", "all", content)[1:]

    def direct(self, to: str, content: str) -> bytes:
        """Publish to one."""
        return _command("PUBLISH", f"to.{to}", content)

    def direct_delivery(self, _author: str, to: str, content: str) -> bytes:
        """Return what this one receives."""
        return b">" + _command("message", f"to.{to}", content)[1:]

    def author_reply(self, receivers: int) -> bytes:
        """Return how many subscribers the message reached."""
        return f":{receivers}\r\n".encode()


class Redis(Program):
    """redis-server without persistence, with the one thread that executes commands."""

    name = "redis"
    program = "redis-server"
    installed_by = "apt-get install redis-server"
    protocol = RedisProtocol()
    config: ClassVar[str] = """\
bind 127.0.0.1
port {port}
dir {directory}
daemonize no
save ""
appendonly no
maxclients 15000
timeout 0
tcp-backlog 4096
client-output-buffer-limit pubsub 0 0 0
"""
