"""The logs that break a promise break that one, and nothing else."""

import asyncio
from pathlib import Path

from chatd.messagelog.base import Retention
from tests.support.fakes import EPOCH_NS
from tests.support.log_harness import (
    BOB,
    Reported,
    SqliteHarness,
    each,
    fill,
    ids,
    new_message,
    open_sqlite,
    replayed,
)
from tests.torture.faulty_log import MAX_HELD, AckBeforeCommit, ForgetRefs


async def test_what_is_acknowledged_before_its_commit_is_lost_by_a_kill(tmp_path: Path) -> None:
    reported: list[Reported] = []
    log = AckBeforeCommit(tmp_path, "process", Retention(), lambda: EPOCH_NS)
    await log.open(lambda results: reported.extend(each(results)))
    log.append([new_message(ref="r")], "ann")
    log.append([new_message(ref="s")], "ann")
    await asyncio.sleep(0)
    assert [(one.kind, one.entry.id) for one in reported] == [("stored", 1), ("stored", 2)]
    await log.close()
    async with open_sqlite(tmp_path) as killed:
        assert killed.log.last == 0


async def test_what_is_acknowledged_before_its_commit_is_stored_by_an_orderly_stop(
    tmp_path: Path,
) -> None:
    bench = SqliteHarness(tmp_path, Retention())
    bench.log = AckBeforeCommit(tmp_path, "process", Retention(), lambda: EPOCH_NS)
    await bench.log.open(bench.note)
    for _ in range(MAX_HELD + 2):
        bench.log.append([new_message()], "ann")
    await bench.log.flush()
    everything = [*range(1, MAX_HELD + 3)]
    assert ids(await replayed(bench, BOB, 0, MAX_HELD + 2)) == everything
    await bench.log.close()


async def test_a_ref_that_was_forgotten_is_no_duplicate(tmp_path: Path) -> None:
    bench = SqliteHarness(tmp_path, Retention())
    bench.log = ForgetRefs(tmp_path, "process", Retention(), lambda: EPOCH_NS)
    await bench.log.open(bench.note)
    await fill(bench, new_message(ref="r"), new_message(ref="r"))
    assert [(one.kind, one.entry.id, one.entry.message.ref) for one in bench.reported] == [
        ("stored", 1, "r"),
        ("stored", 2, "r"),
    ]
    assert [one.sender for one in bench.reported] == ["sender 0", "sender 1"]
    await bench.log.close()
