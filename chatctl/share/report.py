"""The final report of a share: who got what from whom, how fast, and what is missing.

It compares the time taken with a lower bound that no way of swapping the files could beat.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from chatctl.share.events import format_elapsed
from chatctl.share.membership import Membership
from chatctl.share.progress import FileProgress
from chatctl.share.send_buffer import Traffic
from chatctl.share.storage.resume_data import FoundFile, RecoveredFiles
from chatctl.share.swarm import Swarm
from common.protocol.text_format import escape_control


class PeerReport(Struct, frozen=True):
    """Another peer; sizes in bytes, rates in B/s, None where the peer never reported them.

    `size` counts its own files, of which `held` bytes are here. `sent` bytes went to it and
    `received` bytes came from it. Its rates are the highest that it reached over one second.
    """

    id: str
    files: int
    size: int
    held: int
    sent: int
    received: int
    upload_rate: float | None
    download_rate: float | None
    fate: str


class ShareReport(Struct, frozen=True, tag_field="code", tag="report"):
    """The report of the peer `id`; sizes in bytes, rates in B/s, times in s.

    `seconds` is the time from the first connection until everything was here, and `all_seconds` the
    time until all connected peers had everything; None when that never happened, 0 when an earlier
    run received everything and no peer came. `least_seconds` is the `lower_bound` for the measured
    uplinks: each counts as fast as it ever was over one second of this run. An uplink that could
    have done more makes the true bound lower. Downlinks are assumed to be no limit. `ratio` is
    `all_seconds` divided by `least_seconds`.
    """

    group: str
    id: str
    directory: str
    size: int
    seconds: float | None
    all_seconds: float | None
    least_seconds: float | None
    ratio: float | None
    sent: int
    received: int
    upload_rate: float
    download_rate: float
    peers: Sequence[PeerReport]
    shortfalls: Sequence[str]
    is_interrupted: bool


_MAX_LISTED: Final = 10


def make_report(
    swarm: Swarm,
    membership: Membership,
    recovered: RecoveredFiles,
    *,
    group: str,
    identity: str,
    size: int,
    directory: Path,
    expected: int | None,
    seconds: float | None,
    all_seconds: float | None,
    is_interrupted: bool,
) -> ShareReport:
    """Return the report of the peer `identity`, which shared `size` bytes.

    The peers in `recovered` did not come, but an earlier run received all their files. `expected`
    is how many peers should have come, including this one. For the times see `ShareReport`.
    """
    peers = [_peer_report(peer, swarm, membership) for peer in sorted(membership.seen)]
    peers += [_recovered_peer_report(peer, recovered[peer]) for peer in sorted(recovered)]
    is_met = expected is None or len(peers) + 1 >= expected
    shortfalls = list(_shortfalls(swarm, membership, len(recovered), expected))
    is_whole = seconds is not None and is_met and not shortfalls
    least = swarm_lower_bound(size, membership.upload_meter.best, peers) if is_whole else None
    ratio = all_seconds / least if all_seconds is not None and least else None
    return ShareReport(
        group=group,
        id=identity,
        directory=str(directory),
        size=size,
        seconds=seconds if is_whole else None,
        all_seconds=all_seconds if is_whole else None,
        least_seconds=least,
        ratio=ratio,
        sent=sum(each.sent for each in swarm.traffic.values()),
        received=sum(each.received for each in swarm.traffic.values()),
        upload_rate=membership.upload_meter.best,
        download_rate=membership.download_meter.best,
        peers=peers,
        shortfalls=shortfalls,
        is_interrupted=is_interrupted,
    )


def _peer_report(peer: str, swarm: Swarm, membership: Membership) -> PeerReport:
    files = swarm.files.of(peer)
    traffic = swarm.traffic.get(peer, Traffic())
    goodbye = membership.goodbyes.get(peer)
    return PeerReport(
        id=peer,
        files=len(files),
        size=sum(file.size for file in files),
        held=sum(file.done for file in files),
        sent=traffic.sent,
        received=traffic.received,
        upload_rate=None if goodbye is None else goodbye.upload_rate,
        download_rate=None if goodbye is None else goodbye.download_rate,
        fate=swarm.exit_reasons.get(peer, ""),
    )


def _recovered_peer_report(peer: str, found: Sequence[FoundFile]) -> PeerReport:
    size = sum(file.size for file, _ in found)
    return PeerReport(peer, len(found), size, size, 0, 0, None, None, "was not needed")


def _shortfalls(
    swarm: Swarm, membership: Membership, recovered: int, expected: int | None
) -> Iterator[str]:
    """Yield what is missing, one sentence each."""
    if swarm.error is not None:
        yield str(swarm.error)
    met = 1 + len(membership.seen) + recovered
    if met == 1:
        yield "nobody else came"
    elif expected is not None and met < expected:
        yield f"only {met} of {expected} peers came"
    has_all = met >= (expected or 2)
    for target in membership.dial_queue.unreachable(membership.seen):
        # The peer behind an address from the command line may have connected by itself.
        if target.id or not has_all:
            yield f"{target} could not be reached at {target.address}: {target.error}"
    for owner, why in swarm.catalog.rejected.items():
        yield f"the files of {owner} were skipped: {why}"
    for owner in sorted(membership.seen):
        if swarm.catalog.is_pending(owner):
            yield f"peer {owner} never sent its manifest"
    for file in swarm.files:
        if file.error:
            yield f"{file.name} of {file.owner} could not be saved: {file.error}"
    yield from _missing(swarm)


def _missing(swarm: Swarm) -> Iterator[str]:
    """Yield which files are incomplete, and which connected peers have the missing pieces."""
    missing: defaultdict[str, int] = defaultdict(int)
    holders: defaultdict[str, set[str]] = defaultdict(set)
    for piece in swarm.planner.missing():
        missing[piece.owner] += 1
        holders[piece.owner].update(piece.holders)
    for owner, count in missing.items():
        names = ", ".join(file.name for file in _unfinished(swarm, owner)[:_MAX_LISTED])
        holders_text = ", ".join(sorted(holders[owner]))
        where = (
            f"connected peers have some: {holders_text}"
            if holders_text
            else "no connected peer has them"
        )
        yield f"{count} pieces of {owner} are missing ({names}); {where}"


def _unfinished(swarm: Swarm, owner: str) -> Sequence[FileProgress]:
    return [file for file in swarm.files.of(owner) if file.path is None and not file.error]


_MB: float = 1e6


def render(report: ShareReport) -> str:
    """Return the report as text: a table of peers, and a summary below it."""
    table = [*_table(report), ""] if report.peers else []
    return "\n".join([*table, *_summary_lines(report)])


def _table(report: ShareReport) -> Iterator[str]:
    head = ("peer", "files", "MB", "here", "sent MB", "got MB", "its up MB/s", "its down MB/s", "")
    rows = [head, *map(_row, report.peers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells, fate in rows:
        aligned = (cell.rjust(width) for cell, width in zip(cells, widths[1:-1], strict=True))
        yield "  ".join((name.ljust(widths[0]), *aligned, fate)).rstrip()


def _row(peer: PeerReport) -> tuple[str, ...]:
    here = 100 * peer.held // peer.size if peer.size else 100
    return (
        escape_control(peer.id),
        str(peer.files),
        _mb(peer.size),
        f"{here}%",
        _mb(peer.sent),
        _mb(peer.received),
        "?" if peer.upload_rate is None else _mb(peer.upload_rate),
        "?" if peer.download_rate is None else _mb(peer.download_rate),
        escape_control(peer.fate),
    )


def _summary_lines(report: ShareReport) -> Iterator[str]:
    rates = f"; best {_mb(report.upload_rate)} MB/s up, {_mb(report.download_rate)} MB/s down"
    has_moved = report.sent or report.received
    yield (
        f"this peer     {escape_control(report.id)}: {_mb(report.size)} MB shared"
        f"{rates if has_moved else ''}"
    )
    if not report.peers:
        yield "time          no other peer came"
    elif report.seconds is None:
        yield f"time          incomplete: {_mb(report.received)} MB received"
    elif report.seconds == 0:
        yield "time          none: an earlier run received everything"
    else:
        took = format_elapsed(report.seconds)
        yield f"time          {took} from the first connection to the last file"
    if report.all_seconds is not None:
        took = format_elapsed(report.all_seconds)
        yield f"              {took} until every peer had everything"
    if report.ratio is not None and report.ratio < 1:
        yield "lower bound   unknown: the exchange was too short to measure the uplinks"
    elif report.least_seconds is not None and report.ratio is not None:
        least = format_elapsed(report.least_seconds)
        yield (
            f"lower bound   {least} at the measured uplinks; "
            f"this took {report.ratio:.2f} times as long"
        )
    elif report.seconds:
        yield "lower bound   unknown: not every uplink was used"
    yield f"files         in {escape_control(report.directory)}"


def _mb(size: float) -> str:
    return f"{size / _MB:.3g}" if size < 100 * _MB else f"{size / _MB:.0f}"


class PeerCapacity(Struct, frozen=True):
    """The bytes of a peer's files, and the rates (B/s) at which it can send and receive."""

    size: int
    upload_rate: float
    download_rate: float


def swarm_lower_bound(size: int, upload_rate: float, peers: Sequence[PeerReport]) -> float | None:
    """Return the `lower_bound` (s) of this peer and its `peers`; None if an uplink is unknown."""
    capacities = [PeerCapacity(size, upload_rate, float("inf"))]
    for peer in peers:
        if peer.upload_rate is None:
            return None
        capacities.append(PeerCapacity(peer.size, peer.upload_rate, float("inf")))
    return lower_bound(capacities)


def lower_bound(peers: Sequence[PeerCapacity]) -> float | None:
    """Return the least time (s) in which all `peers` can have all files, whatever they do.

    T* = max(max F_i / u_i, max (S - F_j) / d_j, (k - 1) S / sum u), with sizes F, their sum S,
    uplinks u and downlinks d. Each file must leave its owner once, each peer must receive all other
    files, and all peers together must send every byte k - 1 times. This is the bound of Kumar and
    Ross, "Peer-Assisted File Distribution: The Minimum Distribution Time" (HotWeb 2006), for k
    files at once. Fluid transfers can reach it (Mundinger, Weber and Weiss, "Optimal Scheduling of
    Peer-to-Peer File Dissemination", Journal of Scheduling 11, 2008).

    None if a rate that matters is 0, or there are fewer than two peers.
    """
    total = sum(peer.size for peer in peers)
    demands = [(peer.size, peer.upload_rate) for peer in peers]
    demands += [(total - peer.size, peer.download_rate) for peer in peers]
    demands.append(((len(peers) - 1) * total, sum(peer.upload_rate for peer in peers)))
    if len(peers) < 2 or any(size and not rate for size, rate in demands):
        return None
    return max(size / rate for size, rate in demands if size) if total else 0.0
