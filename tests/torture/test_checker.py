"""The checker on hand-made journals finds each broken promise; a journal survives a kill."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.torture.checker import Facts, check
from tests.torture.journal import (
    Acked,
    CaughtUp,
    Gapped,
    Journal,
    Row,
    Seen,
    Sent,
    Started,
    Unexpected,
    read,
)

Journals = Mapping[str, Sequence[Row]]

LOST = "each acknowledged message was seen by all it is for"
TWICE = "nobody saw a message twice"
ORDER = "all saw the same order"
PHANTOM = "what was acknowledged came, under the id in the ack"
MISDELIVERED = "nobody saw what was never sent, or is not for them"
UNACKNOWLEDGED = "all that was sent is acknowledged in the end"
UNEXPECTED = "nobody got an error or another log"
GAP = "no gap is of what must be kept"

STARTED = Started()
ANN_1 = Seen(1, "ann", "ann.1", is_direct=False)
ANN_2 = Seen(2, "ann", "ann.2", is_direct=True)
BOB_1 = Seen(3, "bob", "bob.1", is_direct=False)

ANN: list[Row] = [
    STARTED,
    Sent("ann.1", None),
    Sent("ann.2", "bob"),
    Acked("ann.1", 1, duplicate=False),
    Acked("ann.2", 2, duplicate=False),
    BOB_1,
]
BOB: list[Row] = [STARTED, Sent("bob.1", None), ANN_1, Acked("bob.1", 3, duplicate=False), ANN_2]
EVE: list[Row] = [STARTED, ANN_1, BOB_1]

SOUND: Journals = {"ann": ANN, "bob": BOB, "eve": EVE}
"""Ann sends 1 to all and 2 to Bob, Bob sends 3 to all."""


def broken(journals: Journals, keep: int = 0) -> dict[str, Sequence[str]]:
    """Return the examples of each promise that was broken."""
    promises = check(Facts(journals, keep))
    return {promise.text: promise.examples for promise in promises if promise.broken}


def test_sound_journals_break_no_promise_and_each_is_put_to_the_test() -> None:
    promises = check(Facts(SOUND))

    assert {promise.text: (promise.checked, promise.broken) for promise in promises} == {
        LOST: (5, 0),
        TWICE: (5, 0),
        ORDER: (5, 0),
        PHANTOM: (3, 0),
        MISDELIVERED: (5, 0),
        UNACKNOWLEDGED: (3, 0),
        UNEXPECTED: (3, 0),
        GAP: (3, 0),
    }


@pytest.mark.parametrize(
    ("who", "rows", "expected"),
    [
        pytest.param(
            "eve", [STARTED, ANN_1], {LOST: ["bob.1, acknowledged as 3, never came to eve"]},
            id="a broadcast is lost to one",
        ),
        pytest.param(
            "bob", BOB[:-1],
            {
                LOST: ["ann.2, acknowledged as 2, never came to bob"],
                PHANTOM: ["ann.2 was acknowledged as 2, and nobody saw it"],
            },
            id="an acknowledged message is in no log",
        ),
        pytest.param(
            "eve", [STARTED, ANN_1, Seen(2, "ann", "ann.1", is_direct=False), BOB_1],
            {
                TWICE: ["ann.1 came to eve 2 times, as 1, 2"],
                ORDER: ["ann.1 is 1 and 2", "2 is ann.1 and ann.2"],
                PHANTOM: ["ann.1 was acknowledged as 1, and came as 1 and 2"],
            },
            id="a message is in the log twice",
        ),
        pytest.param(
            "eve", [STARTED, ANN_1, ANN_1, BOB_1],
            {
                TWICE: ["ann.1 came to eve 2 times, as 1, 1"],
                ORDER: ["ann.1 came to eve as 1, after 1"],
            },
            id="a message comes twice in one run",
        ),
        pytest.param(
            "eve", [STARTED, ANN_1, BOB_1, STARTED, ANN_1, BOB_1],
            {
                TWICE: [
                    "bob.1 came to eve 2 times, as 3, 3",
                    "ann.1 came to eve 2 times, as 1, 1",
                ],
                ORDER: ["ann.1 came to eve as 1, after 3"],
            },
            id="a restart before the last message of the run before",
        ),
        pytest.param(
            "eve", [STARTED, BOB_1, ANN_1], {ORDER: ["ann.1 came to eve as 1, after 3"]},
            id="one sees another order",
        ),
        pytest.param(
            "eve", [STARTED, ANN_1, Seen(4, "bob", "bob.1", is_direct=False)],
            {
                ORDER: ["bob.1 is 3 and 4"],
                PHANTOM: ["bob.1 was acknowledged as 3, and came as 3 and 4"],
            },
            id="one gets another id",
        ),
        pytest.param(
            "bob", [*BOB[:3], Acked("bob.1", 2, duplicate=False), ANN_2],
            {PHANTOM: ["bob.1 was acknowledged as 2, and came as 3"]},
            id="the ack names the id of another message",
        ),
        pytest.param(
            "bob", [*BOB, Acked("bob.1", 5, duplicate=True)],
            {PHANTOM: ["bob.1 was acknowledged as 5, and came as 3"]},
            id="a second ack names another id than the first",
        ),
        pytest.param(
            "eve", [STARTED, ANN_1, ANN_2, BOB_1],
            {MISDELIVERED: ["ann.2 came to eve, whom it is not for"]},
            id="a direct message comes to a third",
        ),
        pytest.param(
            "bob", [*BOB, BOB_1], {MISDELIVERED: ["bob.1 came to bob, whom it is not for"]},
            id="an author sees his own message",
        ),
        pytest.param(
            "eve", [*EVE, Seen(4, "ann", "ann.3", is_direct=False)],
            {MISDELIVERED: ["ann.3 came to eve from ann, who never sent it"]},
            id="a message comes that nobody sent",
        ),
        pytest.param(
            "eve", [STARTED, Seen(1, "bob", "ann.1", is_direct=False), BOB_1],
            {MISDELIVERED: ["ann.1 came to eve from bob, who never sent it"]},
            id="a message comes under another name",
        ),
        pytest.param(
            "bob", [*BOB[:-1], Seen(2, "ann", "ann.2", is_direct=False)],
            {MISDELIVERED: ["ann.2 came to bob as a message to all"]},
            id="a direct message comes as a broadcast",
        ),
        pytest.param(
            "eve", [*EVE, Sent("eve.1", "ann")],
            {UNACKNOWLEDGED: ["eve sent eve.1 and never got an acknowledgement"]},
            id="a message is never acknowledged",
        ),
        pytest.param(
            "eve", [STARTED, Unexpected("an error"), *EVE[1:]], {UNEXPECTED: ["eve: an error"]},
            id="an error came",
        ),
        pytest.param(
            "eve", [STARTED, ANN_1, Gapped(3), BOB_1, CaughtUp(3, gap=True)],
            {UNEXPECTED: ["eve: a gap before 3"], GAP: ["eve got a gap from 1 to 3"]},
            id="a gap is reported where all is kept",
        ),
    ],
)  # fmt: skip
def test_a_broken_promise_is_found(
    who: str, rows: Sequence[Row], expected: dict[str, list[str]]
) -> None:
    assert broken({**SOUND, who: rows}) == expected


def test_what_a_killed_client_sees_again_first_is_no_duplicate() -> None:
    eve: list[Row] = [STARTED, ANN_1, STARTED, STARTED, ANN_1, STARTED, ANN_1, BOB_1]
    facts = Facts({**SOUND, "eve": eve})

    assert broken({**SOUND, "eve": eve}) == {}
    assert sum(delivery.is_repeat for delivery in facts.deliveries) == 2


def test_what_was_sent_and_not_acknowledged_may_have_come_or_not() -> None:
    eve: list[Row] = [*EVE, Sent("eve.1", "ann"), Sent("eve.2", "ann")]
    ann: list[Row] = [*ANN, Seen(4, "eve", "eve.1", is_direct=True)]

    assert set(broken({**SOUND, "ann": ann, "eve": eve})) == {UNACKNOWLEDGED}


def test_every_broken_case_counts_and_some_are_listed() -> None:
    sent = [Sent(f"eve.{number}", None) for number in range(9)]
    promises = check(Facts({**SOUND, "eve": [*EVE, *sent]}))

    (promise,) = (promise for promise in promises if promise.text == UNACKNOWLEDGED)
    assert promise.broken == 9
    assert len(promise.examples) < 9


class TestRetention:
    """Ann sends 20 messages to Bob and Eve; the log keeps the newest 5."""

    KEEP = 5
    SENT = 20

    def seen(self, *ids: int) -> list[Row]:
        return [Seen(number, "ann", f"ann.{number}", is_direct=False) for number in ids]

    def check(self, eve: list[Row]) -> dict[str, Sequence[str]]:
        everything = range(1, self.SENT + 1)
        ann: list[Row] = [STARTED, *(Sent(f"ann.{number}", None) for number in everything)]
        ann += (Acked(f"ann.{number}", number, duplicate=False) for number in everything)
        return broken(
            {"ann": ann, "bob": [STARTED, *self.seen(*everything)], "eve": eve}, self.KEEP
        )

    def test_what_a_gap_covers_may_be_missing(self) -> None:
        eve = [STARTED, *self.seen(1, 2), Gapped(16), *self.seen(16, 17), CaughtUp(17, gap=True)]
        assert self.check([*eve, *self.seen(18, 19, 20)]) == {}

    def test_a_gap_that_was_reported_in_an_earlier_run_counts(self) -> None:
        eve = [STARTED, *self.seen(1), Gapped(10), *self.seen(10), STARTED, CaughtUp(10, gap=False)]
        assert self.check([*eve, *self.seen(*range(11, 21))]) == {}

    def test_without_a_gap_nothing_may_be_missing(self) -> None:
        assert self.check([STARTED, *self.seen(1, 2), *self.seen(*range(4, 21))]) == {
            LOST: ["ann.3, acknowledged as 3, never came to eve"]
        }

    def test_a_gap_is_no_excuse_for_what_was_missing_before_or_comes_after(self) -> None:
        eve = [STARTED, *self.seen(1, 3, 4), Gapped(10), *self.seen(11, 12), CaughtUp(12, gap=True)]
        assert self.check([*eve, *self.seen(*range(13, 21))]) == {
            LOST: [
                "ann.10, acknowledged as 10, never came to eve",
                "ann.2, acknowledged as 2, never came to eve",
            ]
        }

    def test_nor_for_what_had_been_caught_up_with(self) -> None:
        eve = [
            STARTED,
            *self.seen(1),
            CaughtUp(4, gap=False),
            Gapped(10),
            *self.seen(*range(10, 21)),
        ]
        assert LOST in self.check(eve)

    def test_a_gap_in_what_must_be_kept_breaks_the_promise(self) -> None:
        eve = [STARTED, *self.seen(*range(1, 15)), Gapped(17), *self.seen(17, 18, 19, 20)]
        assert self.check(eve) == {
            LOST: ["ann.16, acknowledged as 16, never came to eve"],
            GAP: ["eve got a gap from 14 to 17"],
        }

    @pytest.mark.parametrize(("second", "is_fine"), [(21, True), (6, False)])
    def test_a_message_may_be_there_twice_once_it_was_forgotten(
        self, second: int, is_fine: bool
    ) -> None:
        again = Seen(second, "eve", "eve.1", is_direct=False)
        first = Seen(1, "eve", "eve.1", is_direct=False)
        end = Seen(30, "eve", "eve.2", is_direct=False)
        eve: list[Row] = [STARTED, Sent("eve.1", None), Sent("eve.2", None)]
        eve += [Acked("eve.1", second, duplicate=False), Acked("eve.2", 30, duplicate=False)]
        found = broken({"eve": eve, "bob": [STARTED, first, again, end]}, self.KEEP)
        assert found == {} if is_fine else TWICE in found


ROWS: list[Row] = [
    Started(),
    Sent("ann.1", None),
    Sent("ann.2", "bob"),
    Acked("ann.1", 1, duplicate=True),
    Seen(3, "bob", "bob.1", is_direct=False),
    Unexpected("a\nline"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def write(path: Path, *rows: Row) -> None:
    with Journal(path) as journal:
        for row in rows:
            journal.write(row)


def test_what_was_written_is_read_by_the_checker_and_by_the_next_run(path: Path) -> None:
    write(path, *ROWS[:2])
    write(path, *ROWS[2:])

    assert read(path) == ROWS
    with Journal(path) as journal:
        assert journal.rows == ROWS


def test_a_row_is_there_before_the_writer_goes_on(path: Path) -> None:
    with Journal(path) as journal:
        for count, row in enumerate(ROWS, 1):
            journal.write(row)
            assert read(path) == ROWS[:count]


@pytest.mark.parametrize("length", range(1, 10))
def test_a_row_that_a_kill_cut_short_is_no_row(path: Path, length: int) -> None:
    write(path, ROWS[0], ROWS[1])
    whole = path.read_bytes()
    path.write_bytes(whole[:-length])

    assert read(path) == ROWS[:1]
    write(path, *ROWS[1:])
    assert read(path) == ROWS


def test_who_never_began_has_no_rows(path: Path) -> None:
    assert read(path) == []
