"""libtorrent: a torrent per file, of which every peer seeds its own and fetches the others."""

import sys
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bench.errors import UnfitMachineError
from bench.shares import staged
from bench.shares.swarm import Start, Swarm

PIECE: Final = 64 * 1024  # bytes, as in chatctl


class Role(Struct, frozen=True):
    """What one peer plays; the only argument, as JSON.

    `torrents` holds the torrents of all in the order of their peers, of which the one of `number`
    is the peer's own and its file in `home`.
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
        """Start all peers; the torrents are made before the time runs."""
        torrents = swarm.directory / "torrents"
        torrents.mkdir()
        for number, own in enumerate(swarm.peer_files):
            _make_torrent(own.file, torrents / f"{number:03}.torrent")
        hosts = zip(swarm.network.peers, swarm.peer_files, strict=True)
        roles = [
            Role(
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
        return staged.start(
            swarm, [[*module, msgspec.json.encode(role).decode()] for role in roles]
        )


def _make_torrent(file: Path, target: Path) -> None:
    import libtorrent as lt  # noqa: PLC0415 - the other candidates are measured without it

    torrent = lt.create_torrent(lt.list_files(str(file)), PIECE)
    lt.set_piece_hashes(torrent, str(file.parent))
    target.write_bytes(lt.bencode(torrent.generate()))
