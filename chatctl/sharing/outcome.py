"""How a run ended: the figures of everyone, and what was not done of what was asked for."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from chatctl.sharing.files import FileProgress
from chatctl.sharing.gathering import Membership
from chatctl.sharing.outgoing import Traffic
from chatctl.sharing.record import FoundFile, RecoveredFiles
from chatctl.sharing.report import PeerReport, ShareReport, swarm_lower_bound
from chatctl.sharing.swap import Swarm

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
