"""How a run ended: the figures of everyone, and what was not done of what was asked for."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from chatctl.sharing.files import FileProgress
from chatctl.sharing.gathering import Gathering
from chatctl.sharing.outgoing import Traffic
from chatctl.sharing.record import Found, Recovered
from chatctl.sharing.report import PeerFigures, Report, bound
from chatctl.sharing.swap import Swap

_MOST_LISTED: Final = 10


def conclude(
    swap: Swap,
    gathering: Gathering,
    recovered: Recovered,
    *,
    group: str,
    identity: str,
    size: int,
    directory: Path,
    expected: int | None,
    seconds: float | None,
    all_seconds: float | None,
    is_interrupted: bool,
) -> Report:
    """Return the report of the peer `identity`, which shared `size` bytes, and took `seconds`.

    Those in `recovered` were not met, and an earlier run had fetched all of theirs. Everyone was
    done after `all_seconds`. `expected` is how many peers were to come, this one
    included.
    """
    peers = [_figures(peer, swap, gathering) for peer in sorted(gathering.met)]
    peers += [_recovered_figures(peer, recovered[peer]) for peer in sorted(recovered)]
    is_met = expected is None or len(peers) + 1 >= expected
    shortfalls = list(_shortfalls(swap, gathering, len(recovered), expected))
    is_whole = seconds is not None and is_met and not shortfalls
    least = bound(size, gathering.uploads.best, peers) if is_whole else None
    ratio = all_seconds / least if all_seconds is not None and least else None
    return Report(
        group=group,
        id=identity,
        directory=str(directory),
        size=size,
        seconds=seconds if is_whole else None,
        all_seconds=all_seconds if is_whole else None,
        least_seconds=least,
        ratio=ratio,
        sent=sum(each.sent for each in swap.traffic.values()),
        received=sum(each.received for each in swap.traffic.values()),
        upload_rate=gathering.uploads.best,
        download_rate=gathering.downloads.best,
        peers=peers,
        shortfalls=shortfalls,
        is_interrupted=is_interrupted,
    )


def _figures(peer: str, swap: Swap, gathering: Gathering) -> PeerFigures:
    files = swap.files.of(peer)
    traffic = swap.traffic.get(peer, Traffic())
    farewell = gathering.farewells.get(peer)
    return PeerFigures(
        id=peer,
        files=len(files),
        size=sum(file.size for file in files),
        held=sum(file.done for file in files),
        sent=traffic.sent,
        received=traffic.received,
        upload_rate=None if farewell is None else farewell.upload_rate,
        download_rate=None if farewell is None else farewell.download_rate,
        fate=swap.fates.get(peer, ""),
    )


def _recovered_figures(peer: str, found: Sequence[Found]) -> PeerFigures:
    size = sum(file.size for file, _ in found)
    return PeerFigures(peer, len(found), size, size, 0, 0, None, None, "was not needed")


def _shortfalls(
    swap: Swap, gathering: Gathering, recovered: int, expected: int | None
) -> Iterator[str]:
    """Yield what was not done, one sentence each."""
    if swap.fault is not None:
        yield str(swap.fault)
    met = 1 + len(gathering.met) + recovered
    if met == 1:
        yield "nobody else came"
    elif expected is not None and met < expected:
        yield f"only {met} of {expected} peers came"
    has_all = met >= (expected or 2)
    for contact in gathering.contacts.out_of_reach(gathering.met):
        # Who listens at an address that was typed may have come by itself.
        if contact.id or not has_all:
            yield f"{contact} could not be reached at {contact.address}: {contact.failure}"
    for owner, why in swap.owners.refused.items():
        yield f"the files of {owner} were not taken: {why}"
    for owner in sorted(gathering.met):
        if swap.owners.is_awaited(owner):
            yield f"peer {owner} never said what it shares"
    for file in swap.files:
        if file.fault:
            yield f"{file.name} of {file.owner} could not be kept: {file.fault}"
    yield from _missing(swap)


def _missing(swap: Swap) -> Iterator[str]:
    """Yield which files are not whole, and who could still have given the rest."""
    lacking: defaultdict[str, int] = defaultdict(int)
    holders: defaultdict[str, set[str]] = defaultdict(set)
    for piece in swap.planner.missing():
        lacking[piece.owner] += 1
        holders[piece.owner].update(piece.holders)
    for owner, count in lacking.items():
        names = ", ".join(file.name for file in _unfinished(swap, owner)[:_MOST_LISTED])
        having = ", ".join(sorted(holders[owner]))
        where = f"; some are with {having}" if having else "; nobody who is here has them"
        yield f"{count} pieces of {owner} are missing ({names}){where}"


def _unfinished(swap: Swap, owner: str) -> Sequence[FileProgress]:
    return [file for file in swap.files.of(owner) if file.path is None and not file.fault]
