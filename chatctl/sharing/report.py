"""What is told of a run at its end: who got what from whom, how fast, and how near to the bound."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from chatctl.sharing.bound import PeerCapacity, lower_bound
from common.text import escape_control
from common.units import format_duration

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
    bound of `chatctl.sharing.bound` for the uplinks that were measured: each counts as fast as it
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
