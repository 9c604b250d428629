"""The log in memory: how what is appended in one loop iteration becomes batches."""

from itertools import count

import pytest

from chatd.log.memory import MemoryLog
from tests.chatd.log.harness import BOB, each, ids, new_message
from tests.chatd.stand_ins import Deferred


async def test_much_that_comes_in_one_turn_is_reported_in_batches_of_bounded_size() -> None:
    end_turn, batches = Deferred(), list[list[str]]()
    log = MemoryLog[str](100, end_turn, batch=3)
    await log.open(lambda said: batches.append([one.sender for one in each(said)]))
    for sender in "abcdefg":
        log.append([new_message()], sender)
    assert batches == [["a", "b", "c"], ["d", "e", "f"]]
    end_turn.run()
    assert batches == [["a", "b", "c"], ["d", "e", "f"], ["g"]]


async def test_what_is_being_appended_is_never_reported_meanwhile() -> None:
    end_turn, reported = Deferred(), list[str]()
    log = MemoryLog[str](100, end_turn, batch=1)
    await log.open(lambda said: reported.extend(one.sender for one in each(said)))
    for sender in "abc":
        log.append([new_message()], sender)
        assert sender not in reported
    end_turn.run()
    assert reported == ["a", "b", "c"]


async def test_messages_that_are_appended_together_are_reported_together() -> None:
    end_turn, batches = Deferred(), list[str]()
    log = MemoryLog[str](100, end_turn, batch=3)
    await log.open(lambda said: batches.append("".join(one.sender for one in each(said))))
    for sender, size in [("a", 2), ("b", 2), ("c", 1), ("d", 5), ("e", 1)]:
        log.append([new_message()] * size, sender)
    end_turn.run()
    assert batches == ["aa", "bbc", "ddddd", "e"]


@pytest.mark.parametrize("keep", [1, 2, 63, 64, 200])
async def test_exactly_the_newest_are_kept_at_any_time(keep: int) -> None:
    end_turn, rising = Deferred(), count(1)
    log = MemoryLog[str](keep, end_turn)
    for size in [*range(1, 40), 2 * keep + 1, 1, 1]:
        log.append([new_message(ref=str(next(rising))) for _ in range(size)], "ann")
        end_turn.run()
        kept = list(range(max(1, log.last - keep + 1), log.last + 1))
        assert log.first == kept[0]
        assert ids((await log.replay(BOB, 0, log.last)).entries) == kept
        assert ids((await log.history(BOB, log.last + 1, keep)).entries) == kept
        assert ids((await log.history(BOB, kept[-1], keep)).entries) == kept[:-1]
        assert not (await log.history(BOB, kept[0], keep)).entries
