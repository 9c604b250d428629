"""What is told of a run at its end: who got what from whom, how fast, and how near to the bound.

The least time in which files can be swapped among peers, whatever they do.
How a run ended: the figures of everyone, and what was not done of what was asked for.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from chatctl.share.membership import Membership
from chatctl.share.progress import FileProgress
from chatctl.share.send_buffer import Traffic
from chatctl.share.storage.resume_data import FoundFile, RecoveredFiles
from chatctl.share.swarm import Swarm
from common.protocol.text_format import escape_control
from common.values import format_duration


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


_MB: float = 1e6


class PeerReport(Struct, frozen=True):
    """One peer as seen from here; sizes in bytes, rates in B/s, None where it never told them.

    `size` is that of its own files, of which `held` bytes are here. `sent` went from here to it,
    `received` came from it. Its rates are the best that it reached over a second, both ways.
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
    """One run, as peer `id` saw it; sizes in bytes, rates in B/s, times in s.

    `seconds` is the time from the first connection to the moment in which all was here,
    `all_seconds` to that in which it was also with everyone who was connected, None when that never
    came. It is 0 when an earlier run had fetched all, and nobody was met. `least_seconds` is the
    bound of `chatctl.share.report` for the uplinks that were measured: each counts as fast as it
    ever was over a second of this run. An uplink that could have done more makes the true bound
    lower than this one; downlinks are taken to be no limit. `ratio` is `all_seconds` divided by it.
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


def swarm_lower_bound(size: int, upload_rate: float, peers: Sequence[PeerReport]) -> float | None:
    """Return the least time (s) for this peer and its `peers`; None where an uplink is unknown."""
    capacities = [PeerCapacity(size, upload_rate, float("inf"))]
    for peer in peers:
        if peer.upload_rate is None:
            return None
        capacities.append(PeerCapacity(peer.size, peer.upload_rate, float("inf")))
    return lower_bound(capacities)


def render(report: ShareReport) -> str:
    """Return the report for people: a table of peers, and lines below it."""
    table = [*_table(report), ""] if report.peers else []
    return "\n".join([*table, *_summary_lines(report)])


def _table(report: ShareReport) -> Iterator[str]:
    head = ("peer", "files", "MB", "here", "sent MB", "got MB", "best up MB/s", "down MB/s", "")
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
    rates = f", at best {_mb(report.upload_rate)} MB/s up, {_mb(report.download_rate)} MB/s down"
    has_moved = report.sent or report.received
    yield (
        f"this peer     {escape_control(report.id)}: {_mb(report.size)} MB shared"
        f"{rates if has_moved else ''}"
    )
    if not report.peers:
        yield "time          nobody came"
    elif report.seconds is None:
        yield f"time          not all of it came; {_mb(report.received)} MB did"
    elif report.seconds == 0:
        yield "time          none: an earlier run had fetched everything"
    else:
        took = format_duration(round(report.seconds, 3))
        yield f"time          {took} from the first connection to the last file"
    if report.all_seconds is not None:
        took = format_duration(round(report.all_seconds, 3))
        yield f"              {took} until everyone had all"
    if report.ratio is not None and report.ratio < 1:
        yield "lower bound   not known: it was over before uplinks could show how fast they are"
    elif report.least_seconds is not None and report.ratio is not None:
        least = format_duration(round(report.least_seconds, 3))
        yield f"lower bound   {least} with uplinks as measured: took {report.ratio:.2f} times that"
    elif report.seconds:
        yield "lower bound   not known: not every uplink was seen at work"
    yield f"files         in {escape_control(report.directory)}"


def _mb(size: float) -> str:
    return f"{size / _MB:.3g}" if size < 100 * _MB else f"{size / _MB:.0f}"


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
    """Return the report of the peer `identity`, which shared `size` bytes, and took `seconds`.

    Those in `recovered` were not met, and an earlier run had fetched all of theirs. Everyone was
    done after `all_seconds`. `expected` is how many peers were to come, this one
    included.
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
    """Yield what was not done, one sentence each."""
    if swarm.error is not None:
        yield str(swarm.error)
    met = 1 + len(membership.seen) + recovered
    if met == 1:
        yield "nobody else came"
    elif expected is not None and met < expected:
        yield f"only {met} of {expected} peers came"
    has_all = met >= (expected or 2)
    for target in membership.dial_queue.unreachable(membership.seen):
        # Who listens at an address that was typed may have come by itself.
        if target.id or not has_all:
            yield f"{target} could not be reached at {target.address}: {target.error}"
    for owner, why in swarm.catalog.rejected.items():
        yield f"the files of {owner} were not taken: {why}"
    for owner in sorted(membership.seen):
        if swarm.catalog.is_pending(owner):
            yield f"peer {owner} never said what it shares"
    for file in swarm.files:
        if file.error:
            yield f"{file.name} of {file.owner} could not be kept: {file.error}"
    yield from _missing(swarm)


def _missing(swarm: Swarm) -> Iterator[str]:
    """Yield which files are not whole, and who could still have given the rest."""
    missing: defaultdict[str, int] = defaultdict(int)
    holders: defaultdict[str, set[str]] = defaultdict(set)
    for piece in swarm.planner.missing():
        missing[piece.owner] += 1
        holders[piece.owner].update(piece.holders)
    for owner, count in missing.items():
        names = ", ".join(file.name for file in _unfinished(swarm, owner)[:_MAX_LISTED])
        holders_text = ", ".join(sorted(holders[owner]))
        where = (
            f"; some are with {holders_text}" if holders_text else "; nobody who is here has them"
        )
        yield f"{count} pieces of {owner} are missing ({names}){where}"


def _unfinished(swarm: Swarm, owner: str) -> Sequence[FileProgress]:
    return [file for file in swarm.files.of(owner) if file.path is None and not file.error]
