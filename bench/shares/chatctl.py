"""`chatctl share`: real processes, introduced by a chatd of their own."""

import re
import signal
import subprocess
import sys
import time

from bench.errors import StartError
from bench.shares.network import Host
from bench.shares.run import Start, Swarm
from common import __version__

_GROUP = "bench"
_PATIENCE = "60s"
_POLL_S = 0.02


class Chatctl:
    """The candidate: server and peers as they are installed or checked out here.

    The server is stopped until every peer has connected to it, so that no two peers can begin
    before the last one has started, which takes a while on few cores.
    """

    name = "chatctl"
    start_is = "the server, which introduces the peers, continues; no peer knows another"

    def version(self) -> str:
        """Return the version of chatctl."""
        return f"chatctl {__version__}"

    def start(self, swarm: Swarm) -> Start:
        """Start the server and all peers, then the measurement."""
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
            time.sleep(_POLL_S)  # connections can only be polled
        connected_at = time.monotonic()
        processes.signal(server, signal.SIGCONT)
        return Start(connected_at, peers)

    def _port(self, line: str) -> int:
        if (match := re.fullmatch(r"listening on .*:(\d+)\s*", line)) is None:
            raise StartError(f"chatd did not start: expected 'listening on ...', got {line!r}")
        return int(match[1])


def _connections(hub: Host, port: int) -> int:
    """Return how many connections to `port` exist, accepted or not."""
    command = ["ss", "-N", hub.namespace, "-Htn", "state", "established", "sport", "=", f":{port}"]
    return len(subprocess.check_output(command, text=True).splitlines())
