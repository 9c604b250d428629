"""`python -m bench.shares.torrent_peer`: a libtorrent session that seeds one torrent of many.

The others are introduced by hand: no tracker, no DHT, no discovery. Until the time runs every
torrent is in upload mode, in which libtorrent connects and asks for nothing.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import libtorrent as lt
import msgspec

from bench.shares import stage
from bench.shares.torrents import Role

_ALONE: Final = dict.fromkeys(("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp"), False)
# All meet all in every torrent at once.
_MEETING: Final = {"listen_queue_size": 500, "connection_speed": 500, "min_reconnect_time": 1}
_PORT: Final = 6881  # every peer has a namespace of its own
_POLL_S: Final = 0.02


def main() -> None:
    """Play one peer from its first word to its last."""
    role = msgspec.json.decode(sys.argv[1], type=Role)
    # Two who both ask for nothing would hang up on each other before the time runs.
    settings: Any = {
        "listen_interfaces": f"{role.address}:{_PORT}",
        "close_redundant_connections": False,
        **_ALONE,
        **_MEETING,
        **role.settings,
    }
    session = lt.session(settings)
    handles = _torrents(session, role)
    stage.say(stage.Listening(_PORT))
    addresses = stage.await_addresses()
    _connect(handles, addresses, role.number)
    stage.say(stage.Connected())
    stage.await_go()
    for handle in handles:
        handle.unset_flags(lt.torrent_flags.upload_mode)
    while not all(handle.status().is_seeding for handle in handles):
        time.sleep(_POLL_S)  # the library's status is there for who asks
    stage.say(stage.Complete())
    stage.await_end()


def _torrents(session: lt.session, role: Role) -> list[lt.torrent_handle]:
    handles = []
    for number, path in enumerate(sorted(Path(role.torrents).iterdir())):
        torrent = lt.add_torrent_params()
        torrent.ti = lt.torrent_info(str(path))
        torrent.flags = lt.torrent_flags.upload_mode
        torrent.save_path = role.inbox
        if number == role.number:
            torrent.save_path = role.home
            torrent.flags |= lt.torrent_flags.seed_mode
            if role.super_seeding:
                torrent.flags |= lt.torrent_flags.super_seeding
        handles.append(session.add_torrent(torrent))
    return handles


def _connect(
    handles: Sequence[lt.torrent_handle], addresses: Sequence[tuple[str, int]], number: int
) -> None:
    for handle in handles:
        for host, port in addresses[:number]:  # one of each pair calls the other
            handle.connect_peer((host, port))
    while any(handle.status().num_peers < len(addresses) - 1 for handle in handles):
        time.sleep(_POLL_S)  # the library's status is there for who asks


if __name__ == "__main__":
    main()
