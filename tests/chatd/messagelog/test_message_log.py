"""The contract of `MessageLog`, which every implementation passes."""

import pytest

from chatd.messagelog.base import Entry, LogMetrics
from tests.support.log_harness import (
    ANN,
    BOB,
    CAROL,
    IMPLEMENTATIONS,
    PLENTY,
    OpenLog,
    fill,
    ids,
    new_message,
    replayed,
)

CONVERSATION = (
    new_message(ANN, "to all"),
    new_message(BOB, "one's own"),
    new_message(ANN, "to bob", recipient=BOB),
    new_message(BOB, "to ann", recipient=ANN),
    new_message(ANN, "to carol", recipient=CAROL),
)


def contents(entries: list[Entry]) -> list[str]:
    return [entry.message.content for entry in entries]


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
class TestAppending:
    async def test_a_new_log_is_empty_and_has_a_name_of_its_own(self, open_log: OpenLog) -> None:
        async with open_log(PLENTY) as one, open_log(PLENTY) as other:
            assert (one.log.first, one.log.last) == (1, 0)
            assert one.log.name
            assert one.log.name != other.log.name

    async def test_ids_count_from_1_without_gaps(self, open_log: OpenLog) -> None:
        async with open_log(PLENTY) as harness:
            await fill(harness, new_message(), new_message(BOB))
            await fill(harness, new_message(CAROL))
            assert [result.entry.id for result in harness.reported] == [1, 2, 3]
            assert (harness.log.first, harness.log.last) == (1, 3)

    async def test_nothing_is_reported_while_append_runs(self, open_log: OpenLog) -> None:
        async with open_log(PLENTY) as harness:
            harness.log.append([new_message()], "ann's connection")
            assert harness.reported == []
            await harness.commit()
            assert len(harness.reported) == 1

    async def test_each_result_names_its_sender_in_the_order_of_appending(
        self, open_log: OpenLog
    ) -> None:
        async with open_log(PLENTY) as harness:
            messages = [new_message(ANN, f"number {number}") for number in range(50)]
            await fill(harness, *messages)
            assert [result.entry.message for result in harness.reported] == messages
            assert [result.sender for result in harness.reported] == [
                f"sender {number}" for number in range(50)
            ]
            assert {result.kind for result in harness.reported} == {"stored"}

    async def test_messages_that_are_appended_together_are_stored_in_their_order(
        self, open_log: OpenLog
    ) -> None:
        async with open_log(PLENTY) as harness:
            harness.log.append([new_message(ANN, "one"), new_message(ANN, "two")], "ann")
            harness.log.append([new_message(BOB, "three")], "bob")
            await harness.commit()
            assert [
                (result.entry.id, result.entry.message.content, result.sender)
                for result in harness.reported
            ] == [(1, "one", "ann"), (2, "two", "ann"), (3, "three", "bob")]

    async def test_a_message_that_nobody_on_this_node_sent_is_reported_without_a_sender(
        self, open_log: OpenLog
    ) -> None:
        async with open_log(PLENTY) as harness:
            harness.log.append([new_message(ref="r")], None)
            harness.log.append([new_message(ref="r")], None)
            await harness.commit()
            assert [(result.kind, result.sender) for result in harness.reported] == [
                ("stored", None),
                ("duplicate", None),
            ]

    async def test_it_counts_commits_and_the_messages_that_they_stored(
        self, open_log: OpenLog
    ) -> None:
        async with open_log(PLENTY) as harness:
            await fill(harness, new_message(ref="r"), new_message(BOB))
            await fill(harness, new_message(ref="r"), new_message(CAROL))
            assert harness.metrics == LogMetrics(commits=2, messages_committed=3)

    @pytest.mark.parametrize("way", ["flush", "close"])
    async def test_flushing_and_closing_report_what_was_appended(
        self, open_log: OpenLog, way: str
    ) -> None:
        async with open_log(PLENTY) as harness:
            harness.log.append([new_message()], "ann's connection")
            await getattr(harness.log, way)()
            assert [result.kind for result in harness.reported] == ["stored"]

    async def test_closing_again_does_nothing(self, open_log: OpenLog) -> None:
        async with open_log(PLENTY) as harness:
            await fill(harness, new_message())
            await harness.log.close()
            await harness.log.close()
            assert len(harness.reported) == 1


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
@pytest.mark.parametrize("is_one_batch", [True, False])
class TestRefs:
    async def test_a_ref_is_stored_once_and_its_repetition_gets_the_first_entry(
        self, open_log: OpenLog, is_one_batch: bool
    ) -> None:
        async with open_log(PLENTY) as harness:
            await fill(harness, new_message(ref="r", content="first"))
            harness.log.append([new_message(ref="s")], "again")
            if not is_one_batch:
                await harness.commit()
            harness.log.append([new_message(ref="s", content="changed")], "again")
            harness.log.append([new_message(ref="r", content="changed")], "again")
            await harness.commit()
            kinds = [(result.kind, result.entry.id) for result in harness.reported]
            assert kinds == [("stored", 1), ("stored", 2), ("duplicate", 2), ("duplicate", 1)]
            assert harness.reported[-1].entry.message.content == "first"
            assert harness.reported[-1].sender == "again"
            assert harness.log.last == 2
            assert contents(await replayed(harness, BOB, 0, 2)) == ["first", "hi"]

    async def test_the_same_ref_of_two_authors_is_two_messages(
        self, open_log: OpenLog, is_one_batch: bool
    ) -> None:
        async with open_log(PLENTY) as harness:
            harness.log.append([new_message(ANN, ref="r")], "ann")
            if not is_one_batch:
                await harness.commit()
            harness.log.append([new_message(BOB, ref="r")], "bob")
            await harness.commit()
            assert [result.kind for result in harness.reported] == ["stored", "stored"]

    async def test_messages_without_a_ref_are_never_duplicates(
        self, open_log: OpenLog, is_one_batch: bool
    ) -> None:
        async with open_log(PLENTY) as harness:
            harness.log.append([new_message()], "ann")
            if not is_one_batch:
                await harness.commit()
            harness.log.append([new_message()], "ann")
            await harness.commit()
            assert [result.entry.id for result in harness.reported] == [1, 2]


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
class TestRetention:
    async def test_only_the_newest_are_kept(self, open_log: OpenLog) -> None:
        async with open_log(3) as harness:
            await fill(harness, *[new_message() for _ in range(3)])
            assert (harness.log.first, harness.log.last) == (1, 3)
            await fill(harness, new_message(), new_message())
            assert (harness.log.first, harness.log.last) == (3, 5)
            assert ids(await replayed(harness, BOB, 0, 5)) == [3, 4, 5]
            assert ids((await harness.log.history(BOB, 6, 10)).entries) == [3, 4, 5]

    async def test_one_batch_may_be_larger_than_what_is_kept(self, open_log: OpenLog) -> None:
        async with open_log(2) as harness:
            await fill(harness, *[new_message(ref=f"{number}") for number in range(7)])
            assert [result.entry.id for result in harness.reported] == list(range(1, 8))
            assert (harness.log.first, harness.log.last) == (6, 7)

    async def test_a_ref_is_forgotten_with_its_message(self, open_log: OpenLog) -> None:
        async with open_log(2) as harness:
            await fill(harness, new_message(ref="r"), new_message())
            await fill(harness, new_message(ref="r"))
            assert harness.reported[-1].kind == "duplicate"
            await fill(harness, new_message())
            await fill(harness, new_message(ref="r"))
            assert (harness.reported[-1].kind, harness.reported[-1].entry.id) == ("stored", 4)


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
class TestReplay:
    async def test_a_reader_gets_what_others_said_to_all_and_anyone_to_them(
        self, open_log: OpenLog
    ) -> None:
        async with open_log(PLENTY) as harness:
            await fill(harness, *CONVERSATION, new_message(BOB, "to oneself", recipient=BOB))
            assert contents(await replayed(harness, BOB, 0, 6)) == [
                "to all",
                "to bob",
                "to oneself",
            ]

    async def test_it_begins_behind_after_and_ends_with_through(self, open_log: OpenLog) -> None:
        async with open_log(PLENTY) as harness:
            await fill(harness, *[new_message() for _ in range(9)])
            assert ids(await replayed(harness, BOB, 3, 6)) == [4, 5, 6]

    async def test_its_pages_together_leave_nothing_out(self, open_log: OpenLog) -> None:
        async with open_log(PLENTY) as harness:
            await fill(harness, *[new_message((ANN, BOB)[number % 2]) for number in range(2_500)])
            assert ids(await replayed(harness, BOB, 10, 2_500)) == list(range(11, 2_501, 2))

    async def test_a_reader_whom_nothing_reached_gets_through_it_too(
        self, open_log: OpenLog
    ) -> None:
        async with open_log(PLENTY) as harness:
            await fill(harness, *[new_message(recipient=CAROL) for _ in range(2_500)])
            assert await replayed(harness, BOB, 0, 2_500) == []


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
class TestHistory:
    async def test_a_reader_sees_what_was_for_all_for_them_or_by_them(
        self, open_log: OpenLog
    ) -> None:
        async with open_log(PLENTY) as harness:
            await fill(harness, *CONVERSATION)
            seen = (await harness.log.history(BOB, 100, 10)).entries
            assert contents(seen) == ["to all", "one's own", "to bob", "to ann"]

    async def test_a_page_holds_the_newest_below_before_oldest_first(
        self, open_log: OpenLog
    ) -> None:
        async with open_log(PLENTY) as harness:
            await fill(harness, *[new_message() for _ in range(9)])
            assert ids((await harness.log.history(BOB, 7, 3)).entries) == [4, 5, 6]
            assert ids((await harness.log.history(BOB, 2**63 - 1, 2)).entries) == [8, 9]

    async def test_more_tells_whether_anything_older_is_visible_to_the_reader(
        self, open_log: OpenLog
    ) -> None:
        async with open_log(PLENTY) as harness:
            await fill(harness, new_message(recipient=CAROL), *[new_message() for _ in range(3)])
            assert (await harness.log.history(BOB, 5, 2)).more
            assert not (await harness.log.history(BOB, 5, 3)).more
            assert (await harness.log.history(CAROL, 5, 3)).more

    @pytest.mark.parametrize("before", [0, 1])
    async def test_before_the_first_there_is_nothing(self, open_log: OpenLog, before: int) -> None:
        async with open_log(PLENTY) as harness:
            await fill(harness, new_message())
            page = await harness.log.history(BOB, before, 10)
            assert (page.entries, page.more) == ([], False)
