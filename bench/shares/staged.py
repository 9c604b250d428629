"""Candidates whose peers the benchmark plays itself: all connect, then the time runs."""

import time
from collections.abc import Sequence

from bench.shares import stage
from bench.shares.swarm import Start, Swarm


def start(swarm: Swarm, commands: Sequence[Sequence[str]]) -> Start:
    """Start a peer with each of `commands`, introduce all to all, and let them go."""
    hosts = swarm.network.peers
    peers = [swarm.crew.start(host, command) for host, command in zip(hosts, commands, strict=True)]
    ports = [int(heard.event["port"]) for heard in swarm.crew.hear("listening", peers)]
    addresses = [(host.address, port) for host, port in zip(hosts, ports, strict=True)]
    swarm.crew.tell(stage.Cast(addresses))
    swarm.crew.hear("connected", peers)
    introduced = time.monotonic()
    swarm.crew.tell(stage.Go())
    return Start(introduced, peers)
