"""`python -m bench.shares.torrent_peer`: a libtorrent session that seeds one torrent of many.

It connects to the addresses it is given, without a tracker, DHT or discovery. Until the measurement
starts, every torrent is in upload mode: libtorrent connects and requests nothing.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import libtorrent as lt
import msgspec

from bench.shares import processes
from bench.shares.libtorrent import PeerArguments

_NO_DISCOVERY: Final = dict.fromkeys(
    ("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp"), False
)
# All peers connect to all in every torrent at once.
_FAST_CONNECT: Final = {"listen_queue_size": 500, "connection_speed": 500, "min_reconnect_time": 1}
_PIECE_SIZE: Final = 64 * 1024  # bytes, as in chatctl
_PORT: Final = 6881  # every peer has a namespace of its own
_POLL_S: Final = 0.02


def main() -> None:
    """Run one peer."""
    arguments = msgspec.json.decode(sys.argv[1], type=PeerArguments)
    # Two peers that request nothing of each other would disconnect before the measurement.
    settings: Any = {
        "listen_interfaces": f"{arguments.address}:{_PORT}",
        "close_redundant_connections": False,
        **_NO_DISCOVERY,
        **_FAST_CONNECT,
        **arguments.settings,
    }
    session = lt.session(settings)
    handles = _torrents(session, arguments)
    processes.report(processes.Listening(_PORT))
    addresses = processes.wait_for_addresses()
    _connect(handles, addresses, arguments.number)
    processes.report(processes.Connected())
    processes.wait_for_go()
    for handle in handles:
        handle.unset_flags(lt.torrent_flags.upload_mode)
    while not all(handle.status().is_seeding for handle in handles):
        time.sleep(_POLL_S)  # libtorrent's status can only be polled
    processes.report(processes.Complete())
    processes.wait_for_end()


def make_torrent(file: Path, target: Path) -> None:
    """Write the torrent of `file` to `target`."""
    torrent = lt.create_torrent(lt.list_files(str(file)), _PIECE_SIZE)
    lt.set_piece_hashes(torrent, str(file.parent))
    target.write_bytes(lt.bencode(torrent.generate()))


def _torrents(session: lt.session, arguments: PeerArguments) -> list[lt.torrent_handle]:
    handles = []
    for number, path in enumerate(sorted(Path(arguments.torrents).iterdir())):
        torrent = lt.add_torrent_params()
        torrent.ti = lt.torrent_info(str(path))
        torrent.flags = lt.torrent_flags.upload_mode
        torrent.save_path = arguments.inbox
        if number == arguments.number:
            torrent.save_path = arguments.home
            torrent.flags |= lt.torrent_flags.seed_mode
            if arguments.super_seeding:
                torrent.flags |= lt.torrent_flags.super_seeding
        handles.append(session.add_torrent(torrent))
    return handles


def _connect(
    handles: Sequence[lt.torrent_handle], addresses: Sequence[tuple[str, int]], number: int
) -> None:
    for handle in handles:
        for host, port in addresses[:number]:  # one of each pair dials the other
            handle.connect_peer((host, port))
    while any(handle.status().num_peers < len(addresses) - 1 for handle in handles):
        time.sleep(_POLL_S)  # libtorrent's status can only be polled


if __name__ == "__main__":
    main()
