"""``chatctl history``, ``export`` and ``import`` against the real daemon."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.chatctl_process import TIMEOUT, begin, finish, run
from tests.support.daemon_process import Daemon, RawClient
from tests.support.filtering_proxy import FilteringProxy


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """One with a log of its own."""
    running = Daemon(tmp_path / "chatd")
    yield running
    running.stop()


@pytest.fixture
def bob(daemon: Daemon) -> Iterator[RawClient]:
    with RawClient(daemon.address) as wire:
        wire.hello("bob")
        yield wire


def exchange_messages(daemon: Daemon, bob: RawClient) -> None:
    """Have ann, bob and carol say five things."""
    assert run("send", "*", "hello all", "--as", "ann", daemon=daemon).code == 0
    assert run("send", "bob", "hi bob", "--as", "ann", daemon=daemon).code == 0
    assert [bob.receive()["content"] for _ in range(2)] == ["hello all", "hi bob"]
    bob.send("outgoing", to="ann", content="hi\x1bann")
    bob.send("outgoing_broadcast", content="hey")
    assert bob.ask("ping")["code"] == "pong"
    assert run("send", "bob", "not ann's", "--as", "carol", daemon=daemon).code == 0


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def contents(text: str) -> list[str]:
    return [record["content"] for record in records(text)]


def test_history_prints_what_one_may_see_oldest_first(daemon: Daemon, bob: RawClient) -> None:
    exchange_messages(daemon, bob)

    result = run("history", "--as", "ann", daemon=daemon)

    assert (result.code, result.err) == (0, "")
    lines = [
        re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", line) for line in result.out.splitlines()
    ]
    assert lines == [
        "ann < hello all",
        "ann (to bob) < hi bob",
        "bob (to you) < hi\\x1bann",
        "bob < hey",
    ]


def test_history_is_narrowed_down(daemon: Daemon, bob: RawClient) -> None:
    exchange_messages(daemon, bob)

    def history(*options: str) -> list[str]:
        result = run("history", "--as", "ann", "--json", *options, daemon=daemon)
        assert (result.code, result.err) == (0, "")
        return contents(result.out)

    assert history() == ["hello all", "hi bob", "hi\x1bann", "hey"]
    assert history("--limit", "2") == ["hi\x1bann", "hey"]
    assert history("--with", "BOB") == ["hi bob", "hi\x1bann"]
    assert history("--with", "bob", "--limit", "1") == ["hi\x1bann"]
    assert history("--before", "3") == ["hello all", "hi bob"]
    assert history("--since", "1h") == ["hello all", "hi bob", "hi\x1bann", "hey"]
    assert history("--since", "0") == []


def test_history_is_there_for_who_has_a_chat_open_which_goes_on(
    daemon: Daemon, bob: RawClient
) -> None:
    tail = begin("tail", "--as", "ann", "--json", "--count", "2", daemon=daemon)
    assert tail.stderr is not None
    assert "waiting for messages" in tail.stderr.readline()
    bob.send("outgoing", to="ann", content="one")

    result = run("history", "--as", "Ann", "--json", daemon=daemon)
    exported = run("export", "--as", "ann", daemon=daemon)
    bob.send("outgoing", to="ann", content="two")

    assert (result.code, result.err, contents(result.out)) == (0, "", ["one"])
    assert (exported.code, exported.out) == (0, result.out)
    assert contents(finish(tail).out) == ["one", "two"]


def test_a_history_that_is_not_there_is_nothing(daemon: Daemon) -> None:
    assert run("history", "--as", "ann", daemon=daemon) == (0, "", "")


def test_an_export_is_all_that_one_may_see_as_history_prints_it(
    daemon: Daemon, bob: RawClient
) -> None:
    exchange_messages(daemon, bob)
    for number in range(1100):
        bob.send("outgoing_broadcast", content=str(number))

    exported = run("export", "--as", "ann", daemon=daemon)

    assert (exported.code, exported.err) == (0, "chatctl: 1104 messages\n")
    first, second, *rest = records(exported.out)
    assert (first["code"], first["from"], first["content"]) == (
        "incoming_broadcast",
        "ann",
        "hello all",
    )
    assert (second["code"], second["to"]) == ("incoming", "bob")
    assert {"id", "sent", "since", "ref"} <= second.keys()
    assert [record["content"] for record in rest[2:]] == [str(number) for number in range(1100)]


def test_what_one_wrote_is_imported_into_another_log_and_only_once(
    daemon: Daemon, bob: RawClient, tmp_path: Path
) -> None:
    exchange_messages(daemon, bob)
    file = tmp_path / "ann.ndjson"
    file.write_text(run("export", "--as", "ann", daemon=daemon).out)

    at_home = run("import", str(file), "--as", "ann", daemon=daemon)
    assert at_home == (0, "", "chatctl: 0 delivered, 2 already there, 2 written by others\n")

    other = Daemon(tmp_path / "other")
    try:
        with RawClient(other.address) as listener:
            listener.hello("bob")
            first = run("import", str(file), "--as", "ann", "--json", daemon=other)
            second = run("import", str(file), "--as", "ann", daemon=other)
            assert [listener.receive()["content"] for _ in range(2)] == ["hello all", "hi bob"]
            listener.send("ping")
            assert listener.receive()["code"] == "pong"
    finally:
        other.stop()

    assert (first.code, first.err) == (0, "chatctl: 2 delivered, 2 written by others\n")
    assert [(record["line"], record["id"]) for record in records(first.out)] == [(1, 1), (2, 2)]
    assert second.err == "chatctl: 0 delivered, 2 already there, 2 written by others\n"


def test_lines_that_fail_are_named_and_the_code_is_7(daemon: Daemon, bob: RawClient) -> None:
    lines = [
        '{"code":"outgoing","to":"bob","content":"one"}',
        '{"code":"outgoing","to":"nobody","content":"two"}',
        "three",
        '{"code":"outgoing_broadcast","content":"four","ref":"f4"}',
    ]

    imported = run("import", "--as", "ann", daemon=daemon, stdin="\n".join(lines))

    assert (imported.code, imported.out) == (7, "")
    result = sorted(imported.err.splitlines())
    assert result[0] == "chatctl: 2 delivered, 2 failed"
    assert result[1].startswith('chatctl: line 2: nobody called "nobody" is known here')
    assert result[2].startswith("chatctl: line 3: not a message: ")
    assert [bob.receive()["content"] for _ in range(2)] == ["one", "four"]


def test_an_import_that_was_interrupted_goes_on_where_it_was(
    daemon: Daemon, bob: RawClient, tmp_path: Path
) -> None:
    file = tmp_path / "many.ndjson"
    texts = [f"m{number}" for number in range(600)]
    file.write_text(
        "".join(f'{{"code":"outgoing","to":"bob","content":"{text}"}}\n' for text in texts)
    )
    with FilteringProxy(daemon) as proxy:
        proxy.dropped_codes = {"ack"}
        importing = begin("import", str(file), "--as", "ann", daemon=proxy)
        proxy.wait()
        importing.send_signal(signal.SIGINT)
        result = finish(importing)
        assert result.code == 130
        assert "chatctl: 0 delivered; run the same command again to send the rest\n" in result.err
        assert "Traceback" not in result.err

        proxy.dropped_codes = set()
        assert run("import", str(file), "--as", "ann", daemon=proxy).code == 0

    assert [bob.receive()["content"] for _ in texts] == texts
    assert bob.ask("ping")["code"] == "pong"


def test_a_file_that_cannot_be_read_is_one_line_with_code_2(daemon: Daemon) -> None:
    refused = run("import", "/nonexistent", daemon=daemon)

    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "chatctl: cannot read /nonexistent: no such file or directory\n"


def test_an_export_ends_quietly_when_nobody_reads_it(daemon: Daemon, bob: RawClient) -> None:
    for number in range(2000):
        bob.send("outgoing_broadcast", content=f"{number:0200}")
    assert bob.ask("ping")["code"] == "pong"

    server = f"{daemon.host}:{daemon.port}"
    piped = subprocess.run(
        f"{sys.executable} -m chatctl --server {server} export --as ann | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )

    assert json.loads(piped.stdout)["content"] == f"{0:0200}"
    assert piped.stderr == ""
