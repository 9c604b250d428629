"""The statistics of a time file: intervals, jitter and gaps, for each direction of each block."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import sub

from msgspec import Struct

from common.timing.analysis import Summary, summarize
from common.timing.file_format import End, FileBlock


class Direction(Struct, frozen=True):
    """The stamps from `sender` to `receiver` in one block; figures without samples are None.

    When both have the same address, as on one machine, the file cannot tell the two directions
    apart: `both_ways` is true, their stamps alternate, and an interval spans two of them.

    `jitter` is how far (ns, by magnitude) an interval is from the median: the D(i - 1, i) of
    RFC 3550 s. 6.4.1 for stamps that are sent at even intervals. `gaps` counts the intervals of
    more than twice the median; the longest interval ended at `longest_until_ns`.
    """

    sender: str
    receiver: str
    both_ways: bool
    rows: int
    interval: Summary | None
    jitter: Summary | None
    gaps: int
    longest_until_ns: int | None


class BlockAnalysis(Struct, frozen=True):
    """One block: its rows by direction, its first and last stamp, and its end.

    `misnumbered` counts the rows whose number does not follow that of the row before: rows were
    lost there, or two programs wrote at once. Numbers count through the whole file.
    """

    rows: int
    misnumbered: int
    first_ns: int | None
    last_ns: int | None
    end: End | None
    torn: bool
    directions: tuple[Direction, ...]


def analyze_blocks(blocks: Iterable[FileBlock]) -> tuple[BlockAnalysis, ...]:
    """Return the statistics of each of `blocks`, given in the order of the file from its start."""
    analyses = []
    last_number = 0
    for block in blocks:
        analyses.append(_analyze_block(block, last_number))
        if block.rows:
            last_number = block.rows[-1].number
    return tuple(analyses)


def _analyze_block(block: FileBlock, last_number: int) -> BlockAnalysis:
    numbers = [last_number, *(row.number for row in block.rows)]
    at_ns = [row.at_ns for row in block.rows]
    times: dict[tuple[str, str], list[int]] = {}
    for row in block.rows:
        times.setdefault((row.sender, row.receiver), []).append(row.at_ns)
    return BlockAnalysis(
        rows=len(block.rows),
        misnumbered=sum(later != earlier + 1 for earlier, later in pairwise(numbers)),
        first_ns=min(at_ns, default=None),
        last_ns=max(at_ns, default=None),
        end=block.end,
        torn=block.torn,
        directions=tuple(
            _analyze_direction(sender, receiver, own_ns)
            for (sender, receiver), own_ns in times.items()
        ),
    )


def _analyze_direction(sender: str, receiver: str, at_ns: Sequence[int]) -> Direction:
    both_ways = sender == receiver
    later = at_ns[1 + both_ways :]
    intervals = list(map(sub, later, at_ns))
    summary = summarize(intervals)
    median_ns = summary.median_ns if summary else 0
    return Direction(
        sender=sender,
        receiver=receiver,
        both_ways=both_ways,
        rows=len(at_ns),
        interval=summary,
        jitter=summarize(abs(interval - median_ns) for interval in intervals),
        gaps=sum(interval > 2 * median_ns for interval in intervals),
        longest_until_ns=later[intervals.index(summary.max_ns)] if summary else None,
    )
