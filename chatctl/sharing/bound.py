"""The least time in which files can be swapped among peers, whatever they do."""

from collections.abc import Sequence

from msgspec import Struct


class PeerCapacity(Struct, frozen=True):
    """What a peer brings: the bytes of its files, and how many B/s it can send and receive."""

    size: int
    upload_rate: float
    download_rate: float


def lower_bound(peers: Sequence[PeerCapacity]) -> float | None:
    """Return T* in s: no way to have all files with all of at least two `peers` is faster.

    T* = max(max F_i / u_i, max (S - F_j) / d_j, (k - 1) S / sum u), with sizes F, their sum S,
    uplinks u and downlinks d. Each file must leave its owner once, each peer must receive what it
    has not, and all together must send every byte k - 1 times. This is the bound of Kumar and Ross,
    "Peer-Assisted File Distribution: The Minimum Distribution Time" (HotWeb 2006), for k files at
    once; with fluid transfers it can be reached (Mundinger, Weber and Weiss, "Optimal Scheduling of
    Peer-to-Peer File Dissemination", Journal of Scheduling 11, 2008).

    None where a rate that matters is 0, or there are fewer than two peers.
    """
    total = sum(peer.size for peer in peers)
    demands = [(peer.size, peer.upload_rate) for peer in peers]
    demands += [(total - peer.size, peer.download_rate) for peer in peers]
    demands.append(((len(peers) - 1) * total, sum(peer.upload_rate for peer in peers)))
    if len(peers) < 2 or any(size and not rate for size, rate in demands):
        return None
    return max(size / rate for size, rate in demands if size) if total else 0.0
