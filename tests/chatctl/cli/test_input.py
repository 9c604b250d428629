"""Lines of standard input, from a pipe that the test writes to."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatctl.cli.input import read_lines
from chatctl.errors import UsageError


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The reading and the writing end of a pipe; the test closes the latter."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


async def read_all(descriptor: int) -> list[str]:
    return [line async for line in read_lines(descriptor)]


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (b"", []),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\ntwo", ["one", "two"]),
        (b"one\r\n\n", ["one", ""]),
        ("grüße \u2028 und mehr\n".encode(), ["grüße \u2028 und mehr"]),
    ],
)
async def test_lines_come_without_their_ends(
    pipe: tuple[int, int], written: bytes, lines: list[str]
) -> None:
    reading, writing = pipe
    os.write(writing, written)
    os.close(writing)

    assert await read_all(reading) == lines


async def test_a_line_comes_as_soon_as_it_is_complete(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    lines = read_lines(reading)
    os.write(writing, b"one\nt")
    assert await anext(lines) == "one"

    os.write(writing, b"wo\n")
    assert await anext(lines) == "two"

    os.close(writing)
    assert await anext(lines, None) is None


async def test_more_than_a_pipe_holds_comes_through_whole(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    expected = [f"{number:0100}" for number in range(10_000)]

    def write() -> None:
        with os.fdopen(writing, "w") as file:
            file.write("\n".join(expected))

    _, lines = await asyncio.gather(asyncio.to_thread(write), read_all(reading))

    assert lines == expected


async def test_what_cannot_be_read_is_reported_and_not_taken_for_the_end(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(UsageError, match="cannot read standard input: is a directory"):
        await read_all(directory)
    os.close(directory)


async def test_a_terminal_shows_how_to_end_the_input(capsys: pytest.CaptureFixture[str]) -> None:
    keyboard, terminal = os.openpty()
    os.write(keyboard, b"one\n\x04")
    assert await read_all(terminal) == ["one"]
    assert capsys.readouterr().err == "chatctl: reading standard input (Ctrl-D ends the input)\n"
    os.close(keyboard)
    os.close(terminal)


async def test_a_line_that_is_no_text_is_named(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.write(writing, b"fine\nb\xe4d\n")
    os.close(writing)

    with pytest.raises(UsageError, match="line 2: not UTF-8"):
        await read_all(reading)
