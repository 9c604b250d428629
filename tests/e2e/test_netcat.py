"""The port poked with a real netcat, in JSON and in the text format."""

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.support import processes
from tests.support.daemon_process import Daemon, RawClient
from tests.support.processes import wait_until
from tests.support.programs import require


class Netcat:
    """One `nc` process; what is typed goes in, what it prints comes out."""

    def __init__(self, daemon: Daemon, *options: str) -> None:
        self.began = time.monotonic()
        command = [require("nc"), *options, daemon.host, str(daemon.port)]
        self.process = processes.start(command, stdin=subprocess.PIPE)

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")

    def read_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().removesuffix("\n")

    def end(self) -> None:
        processes.kill(self.process)


@pytest.fixture
def netcats(daemon: Daemon) -> Iterator[tuple[Netcat, Netcat]]:
    one, other = Netcat(daemon), Netcat(daemon)
    yield one, other
    one.end()
    other.end()


def piped(daemon: Daemon, text: str) -> list[str]:
    """Return what ``printf text | nc -N`` prints."""
    command = [require("nc"), "-N", daemon.host, str(daemon.port)]
    result = processes.run(command, stdin=text)
    assert result.code == 0, result.err
    return result.out.splitlines()


def test_an_echo_comes_back_without_a_newline_sent(daemon: Daemon) -> None:
    assert piped(daemon, '{"code":"echo","content":"Hello!"}') == [
        '{"code":"echo","content":"Hello!"}'
    ]


def test_many_objects_may_stand_on_one_line(daemon: Daemon) -> None:
    answers = piped(daemon, '{"code":"ping","ref":"1"}{"code":"ping","ref":"2"} {"code":"nope"}')
    assert [json.loads(answer).get("ref") for answer in answers] == ["1", "2", None]


def test_two_netcats_chat_in_json(netcats: tuple[Netcat, Netcat]) -> None:
    ann, bob = netcats
    ann.type('{"code":"hello","name":"netcat ann"}')
    assert ann.read_line() == '{"code":"welcome"}'
    bob.type('{"code":"hello","name":"netcat bob"}')
    assert bob.read_line() == '{"code":"welcome"}'
    ann.type('{"code":"outgoing","to":"netcat bob","content":"hi"}')
    assert bob.read_line() == '{"code":"incoming","from":"netcat ann","content":"hi"}'


def test_anonymous_netcats_see_the_seconds_since_the_author_connected(
    netcats: tuple[Netcat, Netcat],
) -> None:
    writer, reader = netcats
    reader.type('{"code":"hello","format":"text"}')
    reader.type("who")
    assert [reader.read_line() for _ in range(3)] == ["current users:", "guest-1", ""]
    writer.type('{"code":"hello","format":"text"}')
    seen = []
    for line in ("pizza later?", "or maybe pasta?"):
        writer.type(line)
        seconds, mark, said = reader.read_line().split(" ", 2)
        assert (mark, said) == ("<", line)
        seen.append(int(seconds))
    assert 0 <= seen[0] <= seen[1] <= time.monotonic() - writer.began + 0.5  # to whole seconds


def test_a_named_netcat_is_shown_with_its_name(
    daemon: Daemon, netcats: tuple[Netcat, Netcat]
) -> None:
    ann, bob = netcats
    ann.type('{"code":"hello","format":"text","name":"texting ann"}')
    bob.type('{"code":"hello","format":"text","name":"texting bob"}')
    with RawClient(daemon.address) as observer:
        observer.hello("observer")
        wait_until(lambda: {"texting ann", "texting bob"} <= set(observer.ask("who")["users"]))
        ann.type("lunch?")
        assert bob.read_line().endswith(" texting ann < lunch?")
        ann.type("texting bob|just us")
        assert bob.read_line().endswith(" texting ann (to you) < just us")
        ann.type("nobody|hello?")
        assert (
            ann.read_line() == '! nobody called "nobody" is known here; `who` lists who is present'
        )
        assert observer.receive()["content"] == "lunch?"


def test_plain_lines_may_follow_the_hello_at_once(daemon: Daemon) -> None:
    with RawClient(daemon.address) as observer:
        observer.hello("piped observer")
        text = '{"code":"hello","format":"text","name":"piper"}\npiped line\nlast without newline'
        assert piped(daemon, text) == []
        assert [observer.receive()["content"], observer.receive()["content"]] == [
            "piped line",
            "last without newline",
        ]
