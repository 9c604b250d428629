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

from chatctl import ledger as module
from chatctl.events import LogStartedOver, Reconnected
from chatctl.ledger import Ledger, LedgerError
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
def ledger(path: Path) -> Iterator[Ledger]:
    with closing(again(path)) as opened:
        yield opened


def again(path: Path) -> Ledger:
    """Open the ledger as the next program does, whether or not the last one closed it."""
    return Ledger(path, "127.0.0.1:5555", "ann")


def test_a_new_one_holds_nothing(ledger: Ledger) -> None:
    assert (ledger.unsettled, ledger.log, ledger.last, ledger.warning) == ([], "", 0, "")


def test_what_is_kept_is_there_for_the_next_program_in_order(path: Path, ledger: Ledger) -> None:
    ledger.keep(ONE)
    ledger.keep(TWO)
    ledger.stand("log-1", 17)

    with closing(again(path)) as found:
        assert found.unsettled == [ONE, TWO]
        assert (found.log, found.last) == ("log-1", 17)
        assert found.warning == ""


def test_what_is_settled_is_gone(path: Path, ledger: Ledger) -> None:
    ledger.keep(ONE)
    ledger.keep(TWO)
    ledger.settle("r1")
    ledger.settle("never seen")

    assert ledger.unsettled == [TWO]
    with closing(again(path)) as found:
        assert found.unsettled == [TWO]


def test_the_same_ref_is_kept_once(path: Path, ledger: Ledger) -> None:
    ledger.keep(ONE)
    ledger.keep(ONE)

    assert len(ledger) == 1
    with closing(again(path)) as found:
        assert len(found) == 1


def test_the_place_is_that_of_the_newest_event_that_one_is_done_with(ledger: Ledger) -> None:
    ledger.stand("log-1", 3)

    ledger.see(Incoming("bob", "hi", 5), IncomingBroadcast("bob", "hi", 4), Reconnected(1.0))
    assert ledger.last == 5

    ledger.see(Resumed(0, 9, gap=False))
    assert (ledger.log, ledger.last) == ("log-1", 9)


def test_in_another_log_the_place_begins_anew(ledger: Ledger) -> None:
    ledger.stand("log-1", 50)

    ledger.see(IncomingBroadcast("bob", "hi", 51), LogStartedOver("log-2"))
    assert (ledger.log, ledger.last) == ("log-2", 0)

    ledger.see(IncomingBroadcast("bob", "hi", 1))
    assert (ledger.log, ledger.last) == ("log-2", 1)

    ledger.see(IncomingBroadcast("bob", "hi", 9), LogStartedOver("log-3", 4))
    assert (ledger.log, ledger.last) == ("log-3", 4)


@pytest.mark.parametrize(
    ("hello", "resume", "after"),
    [(Hello("ann"), True, 17), (Hello("ann"), False, UNSET), (Hello("ann", after=3), False, 3)],
)
def test_a_hello_goes_on_from_there_or_from_where_the_program_says(
    ledger: Ledger, hello: Hello, resume: bool, after: object
) -> None:
    ledger.stand("log-1", 17)

    placed = ledger.place_in(hello, resume=resume)

    assert placed.after == after
    assert placed.log == (UNSET if after is UNSET else "log-1")


def test_at_first_contact_it_begins_where_the_log_ends(ledger: Ledger) -> None:
    hello = ledger.place_in(Hello("ann"), resume=True)
    ledger.begin(hello, Welcome(log="log-1", last=40))

    assert hello == Hello("ann")
    assert (ledger.log, ledger.last) == ("log-1", 40)


def test_who_does_not_read_stays_where_the_last_reader_was(ledger: Ledger) -> None:
    ledger.stand("log-1", 17)
    ledger.begin(ledger.place_in(Hello("ann"), resume=False), Welcome(log="log-1", last=40))

    assert ledger.last == 17


@given(cut=st.integers(min_value=1))
def test_a_row_that_a_killed_program_did_not_finish_never_was(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("torn") / "ann.ledger"
    with closing(again(path)) as first:
        first.keep(ONE)
        whole = path.stat().st_size
        first.keep(TWO)
    torn = path.stat().st_size - whole
    os.truncate(path, whole + torn - 1 - cut % torn)

    with closing(again(path)) as second:
        assert second.unsettled == [ONE]
        assert second.warning == ""
        second.keep(TWO)
    with closing(again(path)) as third:
        assert third.unsettled == [ONE, TWO]


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
def test_a_file_that_cannot_be_understood_is_set_aside_and_that_is_told(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)

    with closing(again(path)) as ledger:
        assert (ledger.unsettled, ledger.log) == ([], "")
        assert "what was kept for ann cannot be read" in ledger.warning
        ledger.keep(ONE)

    (aside,) = path.parent.glob("*.bad")
    assert str(aside) in ledger.warning
    assert aside.read_bytes() == content
    with closing(again(path)) as found:
        assert (found.unsettled, found.warning) == ([ONE], "")


def test_a_file_that_has_grown_is_replaced_by_what_still_counts(
    path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SLACK", 4096)
    ledger.keep(ONE)
    for number in range(1000):
        ledger.see(IncomingBroadcast("bob", "hi", number + 1))
        ledger.keep(OutgoingBroadcast("x" * 50, f"n{number}"))
        ledger.settle(f"n{number}")

    assert path.stat().st_size < 3 * 4096
    assert path.stat().st_mode & 0o777 == 0o600
    ledger.keep(TWO)
    with closing(again(path)) as found:
        assert found.unsettled == [ONE, TWO]
        assert found.last == 1000


def test_a_message_that_brings_the_replacement_is_not_lost_by_it(
    path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SLACK", 0)

    ledger.keep(ONE)
    ledger.settle("r1")
    ledger.keep(TWO)

    with closing(again(path)) as found:
        assert found.unsettled == [TWO]


def test_a_replacement_that_was_cut_short_is_no_harm(
    path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.with_name("ann.ledger.new").write_bytes(b'{"code":"led')
    monkeypatch.setattr(module, "_SLACK", 0)
    ledger.keep(ONE)

    with closing(again(path)) as found:
        assert found.unsettled == [ONE]


def test_a_replacement_that_cannot_be_written_is_put_off(
    path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_file: int) -> None:
        raise OSError(errno.EIO, "whatever")

    monkeypatch.setattr(module, "_SLACK", 0)
    monkeypatch.setattr(os, "fsync", fail)
    ledger.keep(ONE)
    ledger.stand("log-1", 3)

    with closing(again(path)) as found:
        assert (found.unsettled, found.last) == ([ONE], 3)


def test_what_cannot_be_kept_is_refused_and_leaves_the_rest_as_it_was(
    path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[: len(line) // 2]))
    with pytest.raises(LedgerError, match=r"cannot write .*ann\.ledger: no space left on device"):
        ledger.keep(ONE)
    monkeypatch.undo()

    assert ledger.unsettled == []
    ledger.keep(TWO)
    with closing(again(path)) as found:
        assert found.unsettled == [TWO]


def test_what_cannot_be_settled_is_sent_once_more(
    path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.keep(ONE)
    monkeypatch.setattr(os, "write", lambda _file, _line: 0)
    ledger.settle("r1")

    assert ledger.unsettled == []
    with closing(again(path)) as found:
        assert found.unsettled == [ONE]


def test_only_so_much_is_kept(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 100)
    ledger.keep(ONE)

    with pytest.raises(LedgerError, match="1 messages wait for the server already"):
        ledger.keep(TWO)
    ledger.settle("r1")
    ledger.keep(TWO)


def test_nothing_is_written_after_the_end(path: Path) -> None:
    ledger = again(path)
    ledger.close()

    with pytest.raises(LedgerError, match="cannot write"):
        ledger.keep(ONE)
