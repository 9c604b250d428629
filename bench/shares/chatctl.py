"""chatctl share, introduced by a chatd of its own."""

import re
import signal
import subprocess
import sys
import time

from bench.errors import StartError
from bench.shares.network import Host
from bench.shares.swarm import Start, Swarm
from common import __version__

_GROUP = "bench"
_PATIENCE = "60s"
_LOOK_S = 0.02


class Chatctl:
    """Real processes on both sides, as they are installed or checked out here.

    The server is halted until every peer has connected to it, so that no two of them can begin
    before the last one has started: Python takes its time on a few cores.
    """

    name = "chatctl"
    start_is = "the server, which introduces all to all, is let go; nobody knows of anybody"

    def version(self) -> str:
        """Return the version as chatctl tells it."""
        return f"chatctl {__version__}"

    def start(self, swarm: Swarm) -> Start:
        """Start the server, all peers, and then the time."""
        processes, hub, hosts = swarm.processes, swarm.network.hub, swarm.network.peers
        chatd = [sys.executable, "-m", "chatd", "--host", hub.address, "--port", "0"]
        directory = swarm.directory / "chatd"
        server = processes.start(hub, [*chatd, "--data", str(directory), "--log-level", "warning"])
        port = self._port(str(processes.wait_for("text", [server])[0].event["line"]))
        processes.signal(server, signal.SIGSTOP)
        chatctl = [sys.executable, "-m", "chatctl", "--server", f"{hub.address}:{port}"]
        share = [*chatctl, "--timeout", _PATIENCE, "share", "--group", _GROUP, "--json"]
        share += ["--peers", str(len(hosts)), "--wait", _PATIENCE]
        peers = [
            processes.start(
                host, [*share, "--id", str(number), "--out", str(own.inbox), str(own.file)]
            )
            for number, (host, own) in enumerate(zip(hosts, swarm.peer_files, strict=True))
        ]
        while _connections(hub, port) < len(peers):
            processes.check()
            time.sleep(_LOOK_S)  # the kernel tells of connections only who asks
        connected_at = time.monotonic()
        processes.signal(server, signal.SIGCONT)
        return Start(connected_at, peers)

    def _port(self, line: str) -> int:
        if (match := re.fullmatch(r"listening on .*:(\d+)\s*", line)) is None:
            raise StartError(f"chatd did not start: expected 'listening on ...', heard {line!r}")
        return int(match[1])


def _connections(hub: Host, port: int) -> int:
    """Return how many have connected to `port`, whether the server has noticed or not."""
    command = ["ss", "-N", hub.namespace, "-Htn", "state", "established", "sport", "=", f":{port}"]
    return len(subprocess.check_output(command, text=True).splitlines())
