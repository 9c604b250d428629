"""A new network for every run: a namespace for each peer, a bridge, and uplinks of given rates.

No run profits from what TCP has learnt in the one before.
"""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from msgspec import Struct

from bench.errors import BenchError, UnfitMachineError

_SUBNET: Final = "10.203.0.{}/24"
_HUB_HOST: Final = 254
# No segmentation offload: a packet of 64 KiB does not pass a bucket of 5,000 bytes.
_WHOLE_SEGMENTS: Final = ("gso_max_segs", "1", "gso_max_size", "1500")
# Bucket and queue (bytes). A bucket of 1,600 loses a tenth of 40 Mbit/s, one of 70,000 is too
# generous at 4 Mbit/s.
_BUCKET: Final = ("burst", "5000", "limit", "60000")
_CONGESTION_CONTROL: Final = "cubic"  # what the host prefers may be another


class Host(Struct, frozen=True):
    """A namespace and its address."""

    namespace: str
    address: str

    def command(self, *command: str) -> list[str]:
        """Return what runs `command` in the namespace, as the same process."""
        return ["ip", "netns", "exec", self.namespace, *command]


class Network(Struct, frozen=True):
    """The hub, whose own link is not shaped, and the peers in the order of their uplinks."""

    hub: Host
    peers: Sequence[Host]

    def sent(self) -> int:
        """Return the bytes that all peers have sent, headers and acknowledgements included."""
        links = json.loads(_run("ip", "-n", self.hub.namespace, "-s", "-json", "link", "show"))
        ports = {_port(number) for number in range(len(self.peers))}
        return sum(link["stats64"]["rx"]["bytes"] for link in links if link["ifname"] in ports)


def require_network() -> None:
    """Raise UnfitMachineError unless namespaces can be made and links be shaped here."""
    missing = [program for program in ("ip", "tc") if not shutil.which(program)]
    if missing:
        raise UnfitMachineError(
            f"{' and '.join(missing)} not found: shaping links needs iproute2, on Linux"
        )
    if os.geteuid() != 0:
        raise UnfitMachineError("network namespaces need root: run it again with sudo")
    try:
        with network([1.0]):
            pass
    except BenchError as error:
        raise UnfitMachineError(f"links cannot be shaped on this machine: {error}") from None


@contextmanager
def network(uplinks: Sequence[float]) -> Iterator[Network]:
    """Make a network whose peers send at no more than `uplinks` (Mbit/s); remove it afterwards."""
    name = f"bench-{os.getpid()}-{secrets.token_hex(2)}"
    hub = Host(f"{name}-hub", _address(_HUB_HOST))
    peers = [Host(f"{name}-{number}", _address(number + 1)) for number in range(len(uplinks))]
    with ExitStack() as namespaces:
        namespaces.enter_context(_namespace(hub))
        _in(hub, "link", "add", "bridge", "type", "bridge")
        _in(hub, "address", "add", _SUBNET.format(_HUB_HOST), "dev", "bridge")
        _in(hub, "link", "set", "bridge", "up")
        for number, (peer, uplink) in enumerate(zip(peers, uplinks, strict=True)):
            namespaces.enter_context(_namespace(peer))
            _connect(hub, peer, number)
            _shape(peer, uplink)
        yield Network(hub, peers)


def _connect(hub: Host, peer: Host, number: int) -> None:
    port, subnet = _port(number), _SUBNET.format(number + 1)
    _in(hub, "link", "add", port, "type", "veth", "peer", "name", "uplink", "netns", peer.namespace)
    _in(hub, "link", "set", port, *_WHOLE_SEGMENTS, "master", "bridge", "up")
    _in(peer, "link", "set", "uplink", *_WHOLE_SEGMENTS, "up")
    _in(peer, "address", "add", subnet, "dev", "uplink")
    network = _SUBNET.format(0)
    route = (network, "dev", "uplink", "src", peer.address, "congctl", _CONGESTION_CONTROL)
    _in(peer, "route", "replace", *route)


def _shape(peer: Host, uplink: float) -> None:
    rate = f"{round(uplink * 1e6)}bit"
    qdisc = ("qdisc", "add", "dev", "uplink", "root", "tbf", "rate", rate, *_BUCKET)
    _run("tc", "-n", peer.namespace, *qdisc)


@contextmanager
def _namespace(host: Host) -> Iterator[None]:
    try:
        _run("ip", "netns", "add", host.namespace)
        _in(host, "link", "set", "lo", "up")
        yield
    finally:
        if host.namespace in _run("ip", "netns", "list").split():
            _run("ip", "netns", "delete", host.namespace)


def _address(number: int) -> str:
    return _SUBNET.format(number).partition("/")[0]


def _port(number: int) -> str:
    return f"peer{number}"


def _in(host: Host, *arguments: str) -> None:
    _run("ip", "-n", host.namespace, *arguments)


def _run(*command: str) -> str:
    # In another process group, so that Ctrl-C interrupts no command that removes a namespace.
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, start_new_session=True
    )
    if done.returncode:
        error_text = done.stderr.strip() or f"exit code {done.returncode}"
        raise BenchError(f"{' '.join(command)}: {error_text}")
    return done.stdout
