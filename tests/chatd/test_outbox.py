"""What one connection is still to be sent: in order, bounded, and shared where it can be."""

from collections.abc import Callable

import pytest

from chatd.dialects import Dialect
from chatd.outbox import BUSY_BYTES, BUSY_REPLIES, Outbox, Part
from common.messages.basic import Echo, Ping, Pong
from common.messages.chat import Joined
from tests.chatd.lone import drop, lone_outbox

PING = b'{"code":"ping"}\n'


def take_all(outbox: Outbox, limit: int = 1_000) -> list[bytes]:
    return list(iter(lambda: outbox.take(limit), b""))


def test_an_empty_outbox_has_nothing_to_take() -> None:
    assert lone_outbox().take(1_000) == b""


def test_replies_and_parts_come_out_in_the_order_in_which_they_went_in() -> None:
    outbox = lone_outbox()
    outbox.send(Joined("a"))
    outbox.put(Part(b"part 1\n"))
    outbox.put(Part(b"part 2\n"))
    outbox.send(Joined("b"))
    outbox.send(Joined("c"))
    outbox.put(Part(b"part 3\n"))
    assert b"".join(take_all(outbox)).split(b"\n") == [
        b'{"code":"joined","name":"a"}',
        b"part 1",
        b"part 2",
        b'{"code":"joined","name":"b"}',
        b'{"code":"joined","name":"c"}',
        b"part 3",
        b"",
    ]


def test_it_takes_whole_parts_until_the_limit_is_reached() -> None:
    outbox = lone_outbox()
    for number in range(5):
        outbox.put(Part(b"%d" % number * 10))
    assert outbox.take(20) == b"0" * 10 + b"1" * 10
    assert outbox.take(21) == b"2" * 10 + b"3" * 10 + b"4" * 10
    assert outbox.take(1) == b""


def test_a_part_larger_than_the_limit_is_taken_all_the_same() -> None:
    outbox = lone_outbox()
    outbox.put(Part(b"x" * 100))
    outbox.put(Part(b"y"))
    assert take_all(outbox, 10) == [b"x" * 100, b"y"]


def test_a_part_that_comes_alone_is_not_copied() -> None:
    shared = Part(b"for all\n")
    one, other = lone_outbox(), lone_outbox()
    one.put(shared)
    other.put(shared)
    assert one.take(1_000) is other.take(1_000) is shared.encoded


def test_the_bytes_of_its_parts_are_counted() -> None:
    outbox = lone_outbox()
    outbox.put(Part(b"12345"))
    outbox.put(Part(b"678"))
    assert outbox.size == 8
    outbox.take(1)
    assert outbox.size == 3


def test_the_bytes_of_replies_are_counted_once_they_are_packed() -> None:
    outbox = lone_outbox()
    outbox.send(Pong("", ""))
    outbox.pack()
    outbox.send(Pong("", ""))
    outbox.pack()
    outbox.pack()
    assert outbox.size == len(b"".join(take_all(outbox))) > 0


@pytest.mark.parametrize(
    ("queue", "times"),
    [
        (lambda outbox: outbox.put(Part(b"x" * 1024)), BUSY_BYTES // 1024),
        (lambda outbox: outbox.send(Ping()), BUSY_REPLIES),
        (lambda outbox: (outbox.send(Ping()), outbox.pack()), BUSY_BYTES // len(PING)),
    ],
    ids=["bytes in parts", "replies", "bytes in packed replies"],
)
def test_it_is_busy_from_too_much_to_write_until_that_was_taken(
    queue: Callable[[Outbox], object], times: int
) -> None:
    outbox = lone_outbox()
    for _ in range(times):
        queue(outbox)
    was_busy = [outbox.is_busy]
    queue(outbox)
    was_busy.append(outbox.is_busy)
    take_all(outbox, 10**6)
    assert [*was_busy, outbox.is_busy] == [False, True, False]


def test_it_stays_busy_while_what_is_left_is_still_too_much() -> None:
    outbox = lone_outbox()
    for _ in range(4):
        outbox.put(Part(b"x" * (BUSY_BYTES // 2)))
    was_busy = [outbox.is_busy for _ in iter(lambda: outbox.take(1), b"")]
    assert was_busy == [True, False, False, False]


def test_what_was_not_taken_can_be_forgotten() -> None:
    outbox = lone_outbox()
    outbox.put(Part(b"x" * (BUSY_BYTES + 1)))
    outbox.send(Ping())
    outbox.clear()
    assert (outbox.take(1_000), outbox.size, outbox.is_busy) == (b"", 0, False)


def test_it_knows_the_newest_id_that_was_taken() -> None:
    outbox = lone_outbox()
    for number in (3, 0, 5, 6):
        outbox.put(Part(b"x" * 10, number))
    outbox.take(20)
    assert outbox.taken_id == 3
    outbox.take(10)
    assert outbox.taken_id == 5
    outbox.clear()
    assert outbox.taken_id == 5


def test_a_change_of_dialect_holds_for_what_comes_after_it() -> None:
    outbox = lone_outbox()
    outbox.send(Joined("a"))
    outbox.speak(Dialect.TEXT)
    outbox.send(Joined("b"))
    assert b"".join(take_all(outbox)) == b'{"code":"joined","name":"a"}\n* b joined\n'


def test_what_a_dialect_has_no_words_for_is_not_written() -> None:
    outbox = lone_outbox()
    outbox.speak(Dialect.TEXT)
    outbox.send(Echo())
    assert outbox.take(1_000) == b""


def test_it_wakes_once_for_all_that_is_queued_until_it_is_reset() -> None:
    woken: list[Outbox] = []
    outbox = Outbox(woken.append, lambda: None, drop)
    outbox.send(Ping())
    outbox.put(Part(b"x"))
    outbox.send(Ping())
    assert woken == [outbox]
    outbox.is_awake = False
    outbox.put(Part(b"x"))
    assert woken == [outbox, outbox]
