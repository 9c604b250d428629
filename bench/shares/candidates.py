"""Every candidate there is, in the order in which they run."""

from typing import Final

from bench.shares.chatctl import Chatctl
from bench.shares.direct import Direct
from bench.shares.swarm import Candidate
from bench.shares.torrents import Libtorrent

# What a LAN of friends would set: everyone is served at once, and over TCP, since uTP yields to it.
_TUNED: Final[dict[str, bool | int]] = {
    "unchoke_slots_limit": -1,
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "initial_picker_threshold": 0,
}

CANDIDATES: Final[tuple[Candidate, ...]] = (
    Chatctl(),
    Direct(),
    Libtorrent("libtorrent", {}),
    Libtorrent("libtorrent-tuned", _TUNED),
)
