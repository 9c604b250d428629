"""How blocks of a feed are counted, and how a feed is shown."""

import io
import json
from datetime import UTC
from typing import Final

import pytest
from rich.console import Console

from chatctl.client import Array, User
from chatctl.commands.feed import BlockTimer, FeedPanels, FeedRecords, FeedText, Item
from common.messages.feed import Block, Person

SENT: Final = "2026-11-21T07:11:00.123456Z"
SENT_NS: Final = 1_795_245_060_123_456_000
EVE: Final = Person("Eve", "e\x1b[2J", "e@x.example", "1 Way\nAB 2", "E & Co", "1990-12-31", "5")


class TestBlockTimer:
    @pytest.mark.parametrize("size", [1, 5, 7])
    def test_they_adjoin_and_each_has_its_size(self, size: int) -> None:
        timer = BlockTimer(size, start=100.0)
        done = [timer.count(n, 100.0 + n * 0.5) for n in range(1, 36)]
        complete = [block for block in done if block is not None]
        assert complete == [Block(size, size * 0.5)] * (35 // size)
        assert (timer.total, timer.complete) == (35, 35 // size)

    def test_the_one_that_spans_a_lost_connection_is_marked_and_only_that(self) -> None:
        timer = BlockTimer(2, start=0.0)
        taken = [(1, 1.0), (2, 2.0), (3, 3.0), (1, 63.0), (2, 64.0), (3, 65.0)]
        done = [block for n, at in taken if (block := timer.count(n, at))]
        assert done == [Block(2, 2.0), Block(2, 61.0, interrupted=True), Block(2, 2.0)]

    def test_a_loss_between_two_blocks_marks_the_second_whose_time_it_takes(self) -> None:
        timer = BlockTimer(2, start=0.0)
        done = [timer.count(n, at) for n, at in [(1, 1.0), (2, 2.0), (1, 62.0), (2, 63.0)]]
        assert done[1::2] == [Block(2, 2.0), Block(2, 61.0, interrupted=True)]

    def test_a_loss_before_the_first_message_marks_the_first_block(self) -> None:
        timer = BlockTimer(1, start=0.0)
        timer.connection_lost()
        assert timer.count(1, 60.0) == Block(1, 60.0, interrupted=True)
        assert timer.count(2, 61.0) == Block(1, 1.0)

    def test_a_loss_may_be_reported_before_messages_that_came_before_it(self) -> None:
        timer = BlockTimer(2, start=0.0)
        timer.count(1, 1.0)
        timer.connection_lost()
        assert timer.count(2, 2.0) == Block(2, 2.0)

    def test_messages_that_are_missing_mark_a_block(self) -> None:
        timer = BlockTimer(2, start=0.0)
        timer.count(1, 1.0)
        assert timer.count(9, 2.0) == Block(2, 2.0, interrupted=True)


ITEMS: Final[list[Item]] = [User(1, SENT, EVE), Array(2, SENT, [7, -10, 300])]


class TestViews:
    def test_off_a_terminal_everything_is_one_line(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for item in ITEMS:
            FeedText().item(item, SENT_NS)
        FeedText().block(3, Block(1, 4.98), SENT_NS)
        FeedText().block(4, Block(7, 61.0, interrupted=True), SENT_NS)
        user, array, short, marked = capsys.readouterr().out.splitlines()
        assert user == (
            f"{SENT} user 1: Eve (e\\x1b[2J), born 1990-12-31, E & Co, 1 Way, AB 2, 5, e@x.example"
        )
        assert array == f"{SENT} array 2: 7 -10 300"
        assert short == f"{SENT} block 3: 1 message in 4.980 s"
        assert marked == f"{SENT} block 4: 7 messages in 61.000 s, interrupted"

    def test_records_hold_what_was_sent_and_when_it_was_received(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for item in ITEMS:
            FeedRecords().item(item, SENT_NS)
        FeedRecords().block(1, Block(2, 0.5), SENT_NS)
        user, array, block = map(json.loads, capsys.readouterr().out.splitlines())
        assert list(user) == ["received", "code", "n", "sent", "user"]
        assert user["user"]["address"] == "1 Way\nAB 2"
        assert array == {"received": SENT, **array, "code": "array", "values": [7, -10, 300]}
        assert block == {
            "received": SENT,
            "code": "block",
            "count": 2,
            "seconds": 0.5,
            "interrupted": False,
        }

    @pytest.mark.parametrize("width", [40, 80, 200])
    def test_on_a_terminal_nothing_is_wider_than_it_or_moves_the_cursor(self, width: int) -> None:
        console = Console(file=io.StringIO(), width=width)
        panels = FeedPanels(console, UTC)
        for item in ITEMS:
            panels.item(item, SENT_NS)
        panels.block(1, Block(2, 0.5), SENT_NS)
        assert isinstance(console.file, io.StringIO)
        shown = console.file.getvalue()
        lines = shown.splitlines()
        assert max(map(len, lines)) <= width
        assert "\x1b" not in shown
        assert lines[0].startswith("07:11:00.123  user 1")
        assert "born 1990-12-31" in " ".join(shown.split())
        assert "  7 -10 300" in shown
        assert "block 1: 2 messages in 0.500 s ─" in shown
