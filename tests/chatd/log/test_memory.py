"""The log in memory: how what is appended in one turn of the loop becomes batches."""

from chatd.log.memory import MemoryLog
from tests.chatd.log.harness import draft
from tests.chatd.stand_ins import Deferred


async def test_much_that_comes_in_one_turn_is_reported_in_batches_of_bounded_size() -> None:
    end_turn, batches = Deferred(), list[list[str]]()
    log = MemoryLog[str](100, end_turn, batch=3)
    await log.open(lambda outcomes: batches.append([outcome.origin for outcome in outcomes]))
    for origin in "abcdefg":
        log.append(draft(), origin)
    assert batches == [["a", "b", "c"], ["d", "e", "f"]]
    end_turn.run()
    assert batches == [["a", "b", "c"], ["d", "e", "f"], ["g"]]


async def test_what_is_being_appended_is_never_reported_meanwhile() -> None:
    end_turn, reported = Deferred(), list[str]()
    log = MemoryLog[str](100, end_turn, batch=1)
    await log.open(lambda outcomes: reported.extend(outcome.origin for outcome in outcomes))
    for origin in "abc":
        log.append(draft(), origin)
        assert origin not in reported
    end_turn.run()
    assert reported == ["a", "b", "c"]
