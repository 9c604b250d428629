"""The log in memory: how what is appended in one loop iteration becomes batches."""

from itertools import count

import pytest

from chatd.messagelog.memory import MemoryLog
from tests.support.fakes import ManualScheduler
from tests.support.log_harness import BOB, each, ids, new_message


async def test_much_that_comes_in_one_loop_iteration_is_reported_in_batches_of_bounded_size() -> (
    None
):
    scheduler, batches = ManualScheduler(), list[list[str]]()
    log = MemoryLog[str](100, scheduler, batch=3)
    await log.open(lambda logged: batches.append([str(one.sender) for one in each(logged)]))
    for sender in "abcdefg":
        log.append([new_message()], sender)
    assert batches == [["a", "b", "c"], ["d", "e", "f"]]
    scheduler.run()
    assert batches == [["a", "b", "c"], ["d", "e", "f"], ["g"]]


async def test_what_is_being_appended_is_never_reported_meanwhile() -> None:
    scheduler, reported = ManualScheduler(), list[str]()
    log = MemoryLog[str](100, scheduler, batch=1)
    await log.open(lambda logged: reported.extend(str(one.sender) for one in each(logged)))
    for sender in "abc":
        log.append([new_message()], sender)
        assert sender not in reported
    scheduler.run()
    assert reported == ["a", "b", "c"]


async def test_messages_that_are_appended_together_are_reported_together() -> None:
    scheduler, batches = ManualScheduler(), list[str]()
    log = MemoryLog[str](100, scheduler, batch=3)
    await log.open(lambda logged: batches.append("".join(str(one.sender) for one in each(logged))))
    for sender, size in [("a", 2), ("b", 2), ("c", 1), ("d", 5), ("e", 1)]:
        log.append([new_message()] * size, sender)
    scheduler.run()
    assert batches == ["aa", "bbc", "ddddd", "e"]


@pytest.mark.parametrize("keep", [1, 2, 63, 64, 200])
async def test_exactly_the_newest_are_kept_at_any_time(keep: int) -> None:
    scheduler, rising = ManualScheduler(), count(1)
    log = MemoryLog[str](keep, scheduler)
    for size in [*range(1, 40), 2 * keep + 1, 1, 1]:
        log.append([new_message(ref=str(next(rising))) for _ in range(size)], "ann")
        scheduler.run()
        kept = list(range(max(1, log.last - keep + 1), log.last + 1))
        assert log.first == kept[0]
        assert ids((await log.replay(BOB, 0, log.last)).entries) == kept
        assert ids((await log.history(BOB, log.last + 1, keep)).entries) == kept
        assert ids((await log.history(BOB, kept[-1], keep)).entries) == kept[:-1]
        assert not (await log.history(BOB, kept[0], keep)).entries
