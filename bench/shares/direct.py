"""Direct sending, the plainest candidate."""

import platform
import sys

from bench.shares import staged
from bench.shares.swarm import Start, Swarm


class Direct:
    """Every owner sends its file to all others at once, over plain sockets."""

    name = "direct"
    start_is = "all are connected to all, and are told to go"

    def version(self) -> str:
        """Return what it runs on."""
        return f"sockets of Python {platform.python_version()}"

    def start(self, swarm: Swarm) -> Start:
        """Start all peers."""
        module = [sys.executable, "-m", "bench.shares.direct_peer"]
        hosts = zip(swarm.network.peers, swarm.peer_files, strict=True)
        return staged.start(
            swarm,
            [
                [*module, str(number), host.address, str(own.file), str(own.inbox)]
                for number, (host, own) in enumerate(hosts)
            ],
        )
