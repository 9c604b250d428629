"""What a client keeps on disk, and how much of it survives what can happen to a file."""

import errno
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from chatctl.client import journal as module
from chatctl.client.errors import JournalError
from chatctl.client.events import LogStartedOver, Reconnected
from chatctl.client.journal import ClientJournal
from common.messages.chat import (
    Hello,
    Incoming,
    IncomingBroadcast,
    Outgoing,
    OutgoingBroadcast,
    Resumed,
    Welcome,
)

ONE = Outgoing("bob", "one\ntwo", "r1")
TWO = OutgoingBroadcast("grüße", "r2")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ann.ledger"


@pytest.fixture
def journal(path: Path) -> Iterator[ClientJournal]:
    with closing(reopen(path)) as opened:
        yield opened


def reopen(path: Path) -> ClientJournal:
    """Open the journal as the next program does, whether or not the last one closed it."""
    return ClientJournal(path, "127.0.0.1:5555", "ann")


def test_a_new_one_holds_nothing(journal: ClientJournal) -> None:
    assert (journal.unacknowledged, journal.log, journal.last, journal.warning) == ([], "", 0, "")


def test_what_is_kept_is_there_for_the_next_program_in_order(
    path: Path, journal: ClientJournal
) -> None:
    journal.append(ONE)
    journal.append(TWO)
    journal.set_position("log-1", 17)

    with closing(reopen(path)) as reopened:
        assert reopened.unacknowledged == [ONE, TWO]
        assert (reopened.log, reopened.last) == ("log-1", 17)
        assert reopened.warning == ""


def test_what_is_acknowledged_is_gone(path: Path, journal: ClientJournal) -> None:
    journal.append(ONE)
    journal.append(TWO)
    journal.ack("r1")
    journal.ack("never seen")

    assert journal.unacknowledged == [TWO]
    with closing(reopen(path)) as reopened:
        assert reopened.unacknowledged == [TWO]


def test_the_same_ref_is_kept_once(path: Path, journal: ClientJournal) -> None:
    journal.append(ONE)
    journal.append(ONE)

    assert len(journal) == 1
    with closing(reopen(path)) as reopened:
        assert len(reopened) == 1


def test_the_position_is_that_of_the_newest_event_that_one_is_done_with(
    journal: ClientJournal,
) -> None:
    journal.set_position("log-1", 3)

    journal.mark_seen(Incoming("bob", "hi", 5), IncomingBroadcast("bob", "hi", 4), Reconnected(1.0))
    assert journal.last == 5

    journal.mark_seen(Resumed(0, 9, gap=False))
    assert (journal.log, journal.last) == ("log-1", 9)


def test_in_another_log_the_position_begins_anew(journal: ClientJournal) -> None:
    journal.set_position("log-1", 50)

    journal.mark_seen(IncomingBroadcast("bob", "hi", 51), LogStartedOver("log-2"))
    assert (journal.log, journal.last) == ("log-2", 0)

    journal.mark_seen(IncomingBroadcast("bob", "hi", 1))
    assert (journal.log, journal.last) == ("log-2", 1)

    journal.mark_seen(IncomingBroadcast("bob", "hi", 9), LogStartedOver("log-3", 4))
    assert (journal.log, journal.last) == ("log-3", 4)


@pytest.mark.parametrize(
    ("hello", "resume", "after"),
    [(Hello("ann"), True, 17), (Hello("ann"), False, UNSET), (Hello("ann", after=3), False, 3)],
)
def test_a_hello_goes_on_from_there_or_from_where_the_program_says(
    journal: ClientJournal, hello: Hello, resume: bool, after: object
) -> None:
    journal.set_position("log-1", 17)

    resumed = journal.resume_hello(hello, resume=resume)

    assert resumed.after == after
    assert resumed.log == (UNSET if after is UNSET else "log-1")


def test_at_first_contact_it_begins_where_the_log_ends(journal: ClientJournal) -> None:
    hello = journal.resume_hello(Hello("ann"), resume=True)
    journal.on_welcome(hello, Welcome(log="log-1", last=40))

    assert hello == Hello("ann")
    assert (journal.log, journal.last) == ("log-1", 40)


def test_who_does_not_read_stays_where_the_last_reader_was(journal: ClientJournal) -> None:
    journal.set_position("log-1", 17)
    journal.on_welcome(
        journal.resume_hello(Hello("ann"), resume=False), Welcome(log="log-1", last=40)
    )

    assert journal.last == 17


@given(cut=st.integers(min_value=1))
def test_a_row_that_a_killed_program_did_not_finish_never_was(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("torn") / "ann.ledger"
    with closing(reopen(path)) as first:
        first.append(ONE)
        whole = path.stat().st_size
        first.append(TWO)
    length = path.stat().st_size - whole
    os.truncate(path, whole + length - 1 - cut % length)

    with closing(reopen(path)) as second:
        assert second.unacknowledged == [ONE]
        assert second.warning == ""
        second.append(TWO)
    with closing(reopen(path)) as third:
        assert third.unacknowledged == [ONE, TWO]


@pytest.mark.parametrize(
    "content",
    [
        b"\x00" * 100 + b"\n",
        b"an old shopping list\n",
        b'{"code":"settled","ref":"r1"}\n',
        b'{"code":"ledger","version":2,"server":"x","name":"ann"}\n',
        b'{"code":"ledger","version":1,"server":"x","name":"ann"}\n{"code":"pl\n{}\n',
        b'{"code":"ledger","version":1,"server":"x","name":"ann"}\n{"code":"outgoing_broadcast",'
        b'"content":"hi"}\n',
    ],
)
def test_a_file_that_cannot_be_understood_is_set_aside_and_that_is_reported(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)

    with closing(reopen(path)) as journal:
        assert (journal.unacknowledged, journal.log) == ([], "")
        assert "the journal of ann cannot be read" in journal.warning
        journal.append(ONE)

    (moved_to,) = path.parent.glob("*.bad")
    assert str(moved_to) in journal.warning
    assert moved_to.read_bytes() == content
    with closing(reopen(path)) as reopened:
        assert (reopened.unacknowledged, reopened.warning) == ([ONE], "")


def test_a_file_that_has_grown_is_replaced_by_what_still_counts(
    path: Path, journal: ClientJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_COMPACT_AFTER", 4096)
    journal.append(ONE)
    for number in range(1000):
        journal.mark_seen(IncomingBroadcast("bob", "hi", number + 1))
        journal.append(OutgoingBroadcast("x" * 50, f"n{number}"))
        journal.ack(f"n{number}")

    assert path.stat().st_size < 3 * 4096
    assert path.stat().st_mode & 0o777 == 0o600
    journal.append(TWO)
    with closing(reopen(path)) as reopened:
        assert reopened.unacknowledged == [ONE, TWO]
        assert reopened.last == 1000


def test_a_message_that_brings_the_replacement_is_not_lost_by_it(
    path: Path, journal: ClientJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_COMPACT_AFTER", 0)

    journal.append(ONE)
    journal.ack("r1")
    journal.append(TWO)

    with closing(reopen(path)) as reopened:
        assert reopened.unacknowledged == [TWO]


def test_a_replacement_that_was_cut_short_is_no_harm(
    path: Path, journal: ClientJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.with_name("ann.ledger.new").write_bytes(b'{"code":"led')
    monkeypatch.setattr(module, "_COMPACT_AFTER", 0)
    journal.append(ONE)

    with closing(reopen(path)) as reopened:
        assert reopened.unacknowledged == [ONE]


def test_a_replacement_that_cannot_be_written_is_put_off(
    path: Path, journal: ClientJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_file: int) -> None:
        raise OSError(errno.EIO, "whatever")

    monkeypatch.setattr(module, "_COMPACT_AFTER", 0)
    monkeypatch.setattr(os, "fsync", fail)
    journal.append(ONE)
    journal.set_position("log-1", 3)

    with closing(reopen(path)) as reopened:
        assert (reopened.unacknowledged, reopened.last) == ([ONE], 3)


def test_what_cannot_be_kept_is_refused_and_leaves_the_rest_as_it_was(
    path: Path, journal: ClientJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[: len(line) // 2]))
    with pytest.raises(JournalError, match=r"cannot write .*ann\.ledger: no space left on device"):
        journal.append(ONE)
    monkeypatch.undo()

    assert journal.unacknowledged == []
    journal.append(TWO)
    with closing(reopen(path)) as reopened:
        assert reopened.unacknowledged == [TWO]


def test_what_cannot_be_marked_acknowledged_is_sent_once_more(
    path: Path, journal: ClientJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(ONE)
    monkeypatch.setattr(os, "write", lambda _file, _line: 0)
    journal.ack("r1")

    assert journal.unacknowledged == []
    with closing(reopen(path)) as reopened:
        assert reopened.unacknowledged == [ONE]


def test_only_so_much_is_kept(journal: ClientJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 100)
    journal.append(ONE)

    with pytest.raises(JournalError, match="1 messages already wait for the server"):
        journal.append(TWO)
    journal.ack("r1")
    journal.append(TWO)


def test_nothing_is_written_after_the_end(path: Path) -> None:
    journal = reopen(path)
    journal.close()

    with pytest.raises(JournalError, match="cannot write"):
        journal.append(ONE)
