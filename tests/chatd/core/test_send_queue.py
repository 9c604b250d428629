"""What one connection is still to be sent: in order, bounded, and shared where it can be."""

from collections.abc import Callable

import pytest

from chatd.core.formats import Format
from chatd.core.send_queue import HIGH_WATER_BYTES, HIGH_WATER_REPLIES, EncodedChunk, SendQueue
from common.messages.basic import Echo, Ping, Pong
from common.messages.chat import Joined
from tests.support.fakes import detached_send_queue

PING = b'{"code":"ping"}\n'


def take_all(send_queue: SendQueue, limit: int = 1_000) -> list[bytes]:
    return list(iter(lambda: send_queue.take(limit), b""))


def test_an_empty_send_queue_has_nothing_to_take() -> None:
    assert detached_send_queue().take(1_000) == b""


def test_replies_and_chunks_come_out_in_the_order_in_which_they_went_in() -> None:
    send_queue = detached_send_queue()
    send_queue.send(Joined("a"))
    send_queue.put(EncodedChunk(b"part 1\n"))
    send_queue.put(EncodedChunk(b"part 2\n"))
    send_queue.send(Joined("b"))
    send_queue.send(Joined("c"))
    send_queue.put(EncodedChunk(b"part 3\n"))
    assert b"".join(take_all(send_queue)).split(b"\n") == [
        b'{"code":"joined","name":"a"}',
        b"part 1",
        b"part 2",
        b'{"code":"joined","name":"b"}',
        b'{"code":"joined","name":"c"}',
        b"part 3",
        b"",
    ]


def test_it_takes_whole_chunks_until_the_limit_is_reached() -> None:
    send_queue = detached_send_queue()
    for number in range(5):
        send_queue.put(EncodedChunk(b"%d" % number * 10))
    assert send_queue.take(20) == b"0" * 10 + b"1" * 10
    assert send_queue.take(21) == b"2" * 10 + b"3" * 10 + b"4" * 10
    assert send_queue.take(1) == b""


def test_a_chunk_larger_than_the_limit_is_taken_all_the_same() -> None:
    send_queue = detached_send_queue()
    send_queue.put(EncodedChunk(b"x" * 100))
    send_queue.put(EncodedChunk(b"y"))
    assert take_all(send_queue, 10) == [b"x" * 100, b"y"]


def test_a_chunk_that_comes_alone_is_not_copied() -> None:
    shared = EncodedChunk(b"for all\n")
    one, other = detached_send_queue(), detached_send_queue()
    one.put(shared)
    other.put(shared)
    assert one.take(1_000) is other.take(1_000) is shared.encoded


def test_the_bytes_of_its_chunks_are_counted() -> None:
    send_queue = detached_send_queue()
    send_queue.put(EncodedChunk(b"12345"))
    send_queue.put(EncodedChunk(b"678"))
    assert send_queue.size == 8
    send_queue.take(1)
    assert send_queue.size == 3


def test_the_bytes_of_replies_are_counted_once_they_are_encoded() -> None:
    send_queue = detached_send_queue()
    send_queue.send(Pong("", ""))
    send_queue.encode_pending()
    send_queue.send(Pong("", ""))
    send_queue.encode_pending()
    send_queue.encode_pending()
    assert send_queue.size == len(b"".join(take_all(send_queue))) > 0


@pytest.mark.parametrize(
    ("queue", "times"),
    [
        (lambda send_queue: send_queue.put(EncodedChunk(b"x" * 1024)), HIGH_WATER_BYTES // 1024),
        (lambda send_queue: send_queue.send(Ping()), HIGH_WATER_REPLIES),
        (
            lambda send_queue: (send_queue.send(Ping()), send_queue.encode_pending()),
            HIGH_WATER_BYTES // len(PING),
        ),
    ],
    ids=["bytes in parts", "replies", "bytes in packed replies"],
)
def test_it_is_above_high_water_from_too_much_to_write_until_that_was_taken(
    queue: Callable[[SendQueue], object], times: int
) -> None:
    send_queue = detached_send_queue()
    for _ in range(times):
        queue(send_queue)
    was_busy = [send_queue.is_above_high_water]
    queue(send_queue)
    was_busy.append(send_queue.is_above_high_water)
    take_all(send_queue, 10**6)
    assert [*was_busy, send_queue.is_above_high_water] == [False, True, False]


def test_it_stays_above_high_water_while_what_is_left_is_still_too_much() -> None:
    send_queue = detached_send_queue()
    for _ in range(4):
        send_queue.put(EncodedChunk(b"x" * (HIGH_WATER_BYTES // 2)))
    was_busy = [send_queue.is_above_high_water for _ in iter(lambda: send_queue.take(1), b"")]
    assert was_busy == [True, False, False, False]


def test_what_was_not_taken_can_be_forgotten() -> None:
    send_queue = detached_send_queue()
    send_queue.put(EncodedChunk(b"x" * (HIGH_WATER_BYTES + 1)))
    send_queue.send(Ping())
    send_queue.clear()
    assert (send_queue.take(1_000), send_queue.size, send_queue.is_above_high_water) == (
        b"",
        0,
        False,
    )


def test_it_knows_the_newest_id_that_was_taken() -> None:
    send_queue = detached_send_queue()
    for number in (3, 0, 5, 6):
        send_queue.put(EncodedChunk(b"x" * 10, number))
    send_queue.take(20)
    assert send_queue.last_sent_id == 3
    send_queue.take(10)
    assert send_queue.last_sent_id == 5
    send_queue.clear()
    assert send_queue.last_sent_id == 5


def test_a_change_of_format_holds_for_what_comes_after_it() -> None:
    send_queue = detached_send_queue()
    send_queue.send(Joined("a"))
    send_queue.set_format(Format.TEXT)
    send_queue.send(Joined("b"))
    assert b"".join(take_all(send_queue)) == b'{"code":"joined","name":"a"}\n* b joined\n'


def test_what_a_format_has_no_words_for_is_not_written() -> None:
    send_queue = detached_send_queue()
    send_queue.set_format(Format.TEXT)
    send_queue.send(Echo())
    assert send_queue.take(1_000) == b""


def test_it_wakes_once_for_all_that_is_queued_until_it_is_reset() -> None:
    woken: list[SendQueue] = []
    send_queue = SendQueue(woken.append, lambda _remainder: None)
    send_queue.send(Ping())
    send_queue.put(EncodedChunk(b"x"))
    send_queue.send(Ping())
    assert woken == [send_queue]
    send_queue.is_scheduled = False
    send_queue.put(EncodedChunk(b"x"))
    assert woken == [send_queue, send_queue]
