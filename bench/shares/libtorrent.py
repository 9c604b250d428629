"""libtorrent: one torrent for each file, which its owner seeds and the others download."""

import sys
from importlib import import_module, metadata

import msgspec
from msgspec import Struct

from bench.errors import UnfitMachineError
from bench.shares.run import Start, Swarm, start_peers


class PeerArguments(Struct, frozen=True):
    """The arguments of one peer, as JSON.

    `torrents` is a directory with the torrents of all peers, in their order. The one with the
    index `number` is the peer's own, and its file is in `home`.
    """

    number: int
    address: str
    torrents: str
    home: str
    inbox: str
    settings: dict[str, bool | int]
    super_seeding: bool


class Libtorrent(Struct, frozen=True):
    """libtorrent with `settings` other than its own defaults."""

    name: str
    settings: dict[str, bool | int]
    super_seeding: bool = False
    start_is: str = "all are connected to all in every torrent, and leave upload mode"

    def version(self) -> str:
        """Return the version, and the settings that are not the defaults.

        Raises UnfitMachineError where libtorrent is not installed.
        """
        try:
            version = metadata.version("libtorrent")
        except metadata.PackageNotFoundError:
            raise UnfitMachineError(
                "libtorrent is not installed: pip install -r bench/requirements.txt, "
                "or leave it out with --candidates"
            ) from None
        chosen = [f"{name}={int(value)}" for name, value in self.settings.items()]
        if self.super_seeding:
            chosen.append("super seeding")
        return f"libtorrent {version}, pieces of 64 KiB; {', '.join(chosen) or 'defaults'}"

    def start(self, swarm: Swarm) -> Start:
        """Start all peers; the torrents are made before the measurement."""
        torrents = swarm.directory / "torrents"
        torrents.mkdir()
        # Only here: the other candidates are measured where libtorrent is not installed.
        torrent_peer = import_module("bench.shares.torrent_peer")
        for number, own in enumerate(swarm.peer_files):
            torrent_peer.make_torrent(own.file, torrents / f"{number:03}.torrent")
        hosts = zip(swarm.network.peers, swarm.peer_files, strict=True)
        arguments = [
            PeerArguments(
                number=number,
                address=host.address,
                torrents=str(torrents),
                home=str(own.file.parent),
                inbox=str(own.inbox),
                settings=self.settings,
                super_seeding=self.super_seeding,
            )
            for number, (host, own) in enumerate(hosts)
        ]
        module = [sys.executable, "-m", "bench.shares.torrent_peer"]
        return start_peers(
            swarm, [[*module, msgspec.json.encode(each).decode()] for each in arguments]
        )
