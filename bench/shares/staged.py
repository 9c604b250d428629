"""Candidates whose peers the benchmark plays itself: all connect, then the time runs."""

import time
from collections.abc import Sequence

from bench.shares import stage
from bench.shares.swarm import Start, Swarm


def start(swarm: Swarm, commands: Sequence[Sequence[str]]) -> Start:
    """Start a peer with each of `commands`, introduce all to all, and let them go."""
    hosts = swarm.network.peers
    peers = [
        swarm.processes.start(host, command) for host, command in zip(hosts, commands, strict=True)
    ]
    ports = [
        int(process_event.event["port"])
        for process_event in swarm.processes.wait_for("listening", peers)
    ]
    addresses = [(host.address, port) for host, port in zip(hosts, ports, strict=True)]
    swarm.processes.send_line(stage.PeerAddresses(addresses))
    swarm.processes.wait_for("connected", peers)
    connected_at = time.monotonic()
    swarm.processes.send_line(stage.Go())
    return Start(connected_at, peers)
