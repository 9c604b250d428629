"""What a time file shows by itself, block by block."""

from collections.abc import Iterator
from pathlib import Path

from chatctl.errors import UsageError, why
from chatctl.figures import table_rows
from common.clock.recorded import BlockAnalysis, Direction, analyze_blocks
from common.clock.summary import Summary
from common.timefile import parse_blocks
from common.timestamps import format_time
from common.units import format_duration


def read(path: Path) -> tuple[BlockAnalysis, ...]:
    """Return what each block of the file shows; raises UsageError when it is no time file."""
    try:
        # Whatever is no ASCII cannot be timestamp data, and is reported with its line.
        with path.open(encoding="ascii", errors="backslashreplace") as lines:
            return analyze_blocks(parse_blocks(lines))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {why(error)}") from None
    except ValueError as error:
        raise UsageError(f"{path} is no time file: {error}") from None


def render(number: int, block: BlockAnalysis) -> str:
    """Return what is said of block `number`."""
    return "\n".join((*_block_heading(number, block), *_directions(block), ""))


def _block_heading(number: int, block: BlockAnalysis) -> Iterator[str]:
    span = "no rows"
    if block.first_ns is not None and block.last_ns is not None:
        length = format_duration((block.last_ns - block.first_ns) / 1e9)
        span = f"{block.rows} rows in {length} from {format_time(block.first_ns)}"
    yield f"block {number}: {span}, {_ending(block)}"
    if block.misnumbered:
        yield f"{block.misnumbered} rows are not numbered one after the other: some were lost"


def _ending(block: BlockAnalysis) -> str:
    if block.torn:
        return "cut off in the middle of a line"
    if block.end is None:
        return "never closed"
    how = "broken off" if block.end.broken_off else "closed"
    after_ns = block.end.after_ns
    return how if after_ns is None else f"{how} after {format_duration(after_ns / 1e9)}"


def _directions(block: BlockAnalysis) -> Iterator[str]:
    for direction in block.directions:
        yield ""
        titled = {"interval": direction.interval, "jitter": direction.jitter}
        name = f"{direction.sender} > {direction.receiver}"
        if direction.both_ways:
            name += " (both ways)"
        yield f"{name}: {direction.rows} rows{_gaps(direction)}"
        yield from table_rows((title, row) for title, row in titled.items() if row)


def _gaps(direction: Direction) -> str:
    longest: Summary | None = direction.interval
    if not direction.gaps or longest is None or direction.longest_until_ns is None:
        return ""
    until = format_time(direction.longest_until_ns)
    return f", {direction.gaps} gaps, the longest {longest.max_ns / 1e6:.3f} ms until {until}"
