"""The transcripts of docs/protocol.md, replayed against the real daemon."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.daemon_process import Daemon, RawClient

PROTOCOL: Final = Path(__file__).parents[2] / "docs" / "protocol.md"

_BLOCK: Final = re.compile(r"^## (.+?)$|^```transcript(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINE: Final = re.compile(r"(\w+) ([<>])(?: (.*))?")


class Transcript(NamedTuple):
    """The lines of one block, under the heading it stands below; `options` are the daemon's."""

    heading: str
    options: list[str]
    lines: list[str]


def transcripts(text: str) -> Iterator[Transcript]:
    heading = ""
    for match in _BLOCK.finditer(text):
        if match[1]:
            heading = match[1]
        else:
            yield Transcript(heading, match[2].split(), match[3].splitlines())


def pattern(expected: str) -> re.Pattern[str]:
    """Return what matches `expected`, where … stands for anything but nothing."""
    return re.compile(".+?".join(re.escape(part) for part in expected.split("…")))


ALL: Final = list(transcripts(PROTOCOL.read_text()))


def test_every_section_that_shows_messages_has_a_transcript() -> None:
    assert len(ALL) >= 8


@pytest.mark.parametrize("transcript", ALL, ids=[f"{n}: {t.heading}" for n, t in enumerate(ALL)])
def test_the_daemon_answers_as_documented(
    start: Callable[..., Daemon], transcript: Transcript
) -> None:
    daemon = start(*transcript.options)
    clients: dict[str, RawClient] = {}
    for line in transcript.lines:
        match = _LINE.fullmatch(line)
        assert match, f"this is not a line of a transcript: {line!r}"
        who, direction, text = match[1], match[2], match[3] or ""
        if who not in clients:
            clients[who] = RawClient(daemon.address)
        if direction == ">":
            clients[who].send_bytes(text.encode() + b"\n")
        elif text == "(closed)":
            with clients.pop(who) as closed:
                assert closed.receive_to_end() == []
        else:
            received = clients[who].receive_line()
            assert pattern(text).fullmatch(received), f"{who} received {received!r}, not {text!r}"
    for client in clients.values():
        client.close()
