"""Whatever is said, every log answers like the plainest one there is."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatd.messagelog.base import EVERYONE, Entry, Identity, NewMessage
from chatd.messagelog.sqlite import index
from tests.support.log_harness import IMPLEMENTATIONS, OpenLog, fill, replayed

IDENTITIES = (1, 2, 2**62 - 1)

MESSAGES = st.builds(
    NewMessage,
    author=st.sampled_from(IDENTITIES),
    name=st.text(min_size=1, max_size=64),
    content=st.text(max_size=20),
    sent_ns=st.integers(0, 2**62),
    since=st.integers(0, 2**40),
    audience=st.sampled_from([EVERYONE, *map(Identity, IDENTITIES)]),
    to=st.none() | st.text(max_size=64),
    ref=st.none() | st.sampled_from("rst"),
    anonymous=st.booleans(),
)


class Query(NamedTuple):
    """What a reader may ask a log."""

    reader: int
    after: int
    before: int
    limit: int


@pytest.fixture(autouse=True, scope="module")
def _small_segments() -> Iterator[None]:
    """Have messages indexed in the indexes that soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "SEGMENT_SIZE", 4)
        patch.setattr(index, "ID_BLOCK_SIZE", 2)
        yield


QUERIES = st.builds(
    Query,
    st.sampled_from(IDENTITIES),
    after=st.integers(0, 20),
    before=st.integers(0, 20),
    limit=st.integers(1, 5),
)


class NaiveLog:
    """One list, searched from end to end."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._entries: list[Entry] = []
        self.last = 0

    def store(self, batch: list[NewMessage]) -> list[tuple[str, Entry]]:
        results = [self._append(new_message) for new_message in batch]
        self._entries = self._entries[-self._keep :]
        return results

    def _append(self, new_message: NewMessage) -> tuple[str, Entry]:
        for entry in self._entries:
            first = entry.message
            if new_message.ref is not None and (first.author, first.ref) == (
                new_message.author,
                new_message.ref,
            ):
                return "duplicate", entry
        self.last += 1
        entry = Entry(self.last, new_message)
        self._entries.append(entry)
        return "stored", entry

    def replay(self, query: Query) -> list[Entry]:
        return [
            entry
            for entry in self._entries
            if entry.id > query.after
            and (
                entry.message.audience == Identity(query.reader)
                or (entry.message.audience == EVERYONE and entry.message.author != query.reader)
            )
        ]

    def history(self, query: Query) -> tuple[list[Entry], bool]:
        seen = [
            entry
            for entry in self._entries
            if entry.id < query.before
            and (
                entry.message.audience in (EVERYONE, Identity(query.reader))
                or entry.message.author == query.reader
            )
        ]
        return seen[-query.limit :], len(seen) > query.limit


@pytest.mark.parametrize("open_log", IMPLEMENTATIONS)
@settings(max_examples=100, deadline=None)
@given(
    keep=st.integers(1, 12),
    batches=st.lists(st.lists(MESSAGES, max_size=6), max_size=6),
    query=QUERIES,
)
async def test_a_log_answers_like_one_list(
    open_log: OpenLog, keep: int, batches: list[list[NewMessage]], query: Query
) -> None:
    naive = NaiveLog(keep)
    async with open_log(keep) as harness:
        for batch in batches:
            expected = naive.store(batch)
            harness.reported.clear()
            await fill(harness, *batch)
            assert [(result.kind, result.entry) for result in harness.reported] == expected
            assert harness.log.last == naive.last
        assert await replayed(harness, query.reader, query.after, naive.last) == naive.replay(query)
        page = await harness.log.history(query.reader, query.before, query.limit)
        assert (page.entries, page.more) == naive.history(query)
