"""The console examples and programs of the documents, run from top to bottom by a reader."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pexpect
import pytest

from tests.support.console_examples import Block, Reader, blocks
from tests.support.daemon_process import Daemon, RawClient
from tests.support.processes import TIMEOUT
from tests.support.programs import require
from tests.support.terminal import PROMPT, Terminals

CHECKOUT: Final = Path(__file__).parents[2]
README: Final = CHECKOUT / "README.md"
DOCUMENTS: Final = [
    CHECKOUT / "docs" / name for name in ("chatctl.md", "operations.md", "python.md")
]

OPTIONS: Final = ("--delay", "0.1:0.9", "--delay-seed", "40", "--feed-seed", "7")
"""Those of the daemon whose answers are random in the documents."""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon of its own for each document, with its files where a daemon keeps them."""
    running = Daemon(tmp_path / "ann" / "state" / "chatd", *OPTIONS)
    yield running
    running.stop()


@pytest.fixture
def reader(tmp_path: Path, daemon: Daemon) -> Reader:
    """A reader with the files that the documents name."""
    reader = Reader(tmp_path / "ann", daemon)
    reader.save("results.csv", "run,ms\n" * 200_000)
    reader.save("notes.txt", "see results\n" * 60_000)
    return reader


def prepare_feeds(daemon: Daemon) -> None:
    """Have the daemon make the values of its feeds, on a busy machine longer than clients wait."""
    with RawClient(daemon.address) as client:
        assert client.ask("subscribe", ref="1") == {"code": "subscribed", "ref": "1"}


def test_every_document_that_shows_output_is_replayed() -> None:
    shows_output = {
        document
        for document in CHECKOUT.glob("docs/**/*.md")
        if any(output for block in blocks(document) for _, output in block.commands())
    }
    assert shows_output == set(DOCUMENTS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_a_document_shows_what_happens(document: Path, reader: Reader, daemon: Daemon) -> None:
    shown = list(blocks(document))
    assert shown
    if any("subscribe" in block.text or "chatctl feed" in block.text for block in shown):
        prepare_feeds(daemon)
    assert_followed(reader, *shown)


def assert_followed(reader: Reader, *shown: Block) -> None:
    """Do what the blocks show, and fail with all that is different."""
    different = [command for block in shown for command in reader.follow(block)]
    assert not different, "the document shows something else:\n" + "\n".join(different)


class Netcat:
    """Netcat on a terminal, which echoes what is typed."""

    def __init__(self, daemon: Daemon) -> None:
        words = [daemon.host, str(daemon.port)]
        self._child = pexpect.spawn(require("nc"), words, encoding="utf-8", timeout=TIMEOUT)
        self._child.delaybeforesend = None
        self.screen = ""

    def enter(self, line: str) -> None:
        """Type a line."""
        self._child.sendline(line)
        self.wait_for(line)

    def wait_for(self, text: str) -> None:
        """Read until a line ends with `text`."""
        self._child.expect_exact(f"{text}\r\n")
        self.screen += f"{self._child.before}{text}\n".replace("\r", "")

    def close(self) -> None:
        """End it."""
        self._child.close(force=True)


@pytest.fixture
def terminals(reader: Reader) -> Iterator[Terminals]:
    """Terminals of the reader."""
    with Terminals(reader.home) as opened:
        yield opened


def test_the_readme_shows_what_happens(
    daemon: Daemon, reader: Reader, terminals: Terminals
) -> None:
    shown = list(blocks(README))
    start, echo, first_netcat, first_chat, second_chat, second_netcat, *others = shown
    assert [block.words for block in shown[:6]] == [
        ("daemon",), (), ("netcat",), ("chat",), ("chat",), ("netcat",),
    ]  # fmt: skip
    typed = re.search(r"Type `(.+?)` there, and `(.+?)` into netcat", README.read_text())
    direct = re.search(r"`(ann\|.+?)` goes to ann alone", README.read_text())
    assert typed
    assert direct

    assert_shown(start, "$ make run\n" + daemon.first_line)
    assert_followed(reader, echo)

    netcat = Netcat(daemon)
    command, hello = first_netcat.text.splitlines()
    assert command == "$ nc localhost 5555"
    netcat.enter(hello)
    ann = terminals.watch(daemon, "ann")
    before = ann.screen()
    assert_shown(first_chat, "$ source .venv/bin/activate", "$ chatctl chat ann", *before)

    ann.type(typed[1])
    ann.press("Enter")
    netcat.wait_for(typed[1])
    netcat.enter(typed[2])
    after = ann.wait_for(f"… you: {typed[1]}  ✓ …", f"…  guest-1: {typed[2]}", PROMPT)
    assert_shown(second_chat, *after[len(before) - 1 :])
    assert_shown(second_netcat, netcat.screen.removeprefix(f"{hello}\n"))

    netcat.enter(direct[1])
    ann.wait_for(f"… guest-1 (to you): {direct[1].partition('|')[2]}", PROMPT)
    ann.type("quit")
    ann.press("Enter")
    netcat.close()
    assert_followed(reader, *others)


def assert_shown(block: Block, *lines: str) -> None:
    """Check that a block shows these lines, or the same at another time."""
    screen = "".join(line.removesuffix("\n") + "\n" for line in lines)
    assert block.normalized(screen) == block.normalized(block.text)
