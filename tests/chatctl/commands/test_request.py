"""``chatctl request`` against the real daemon."""

import json
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.chatctl_process import begin, finish, run
from tests.support.daemon_process import Daemon
from tests.support.terminal import Terminals

HUB = "Hub&&name&&qwe&&id&&123&&%%Device&&name&&wqe&&id&&234&&"
ENTITIES = {"Hub": {"name": "qwe", "id": "123"}, "Device": {"name": "wqe", "id": "234"}}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that answers soon and has room for 100 requests of a connection."""
    running = Daemon(
        tmp_path_factory.mktemp("chatd"), "--delay", "0.02:0.1", "--max-pending", "100"
    )
    yield running
    running.stop()


@pytest.fixture(scope="module")
def slow_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that answers nothing before the test is over."""
    running = Daemon(tmp_path_factory.mktemp("slow"), "--delay", "3600:3600")
    yield running
    running.stop()


def test_the_arguments_are_answered_each_on_a_line_with_its_wait(daemon: Daemon) -> None:
    result = run("request", HUB, "Lamp&&id&&7&&", "", daemon=daemon)
    assert result.code == 0
    matches = [
        re.fullmatch(r"seq=(\d) wait=(0\.\d{3}|\d+\.\d{3}) s (.+)", line)
        for line in result.out.splitlines()
    ]
    answers = {match[1]: json.loads(match[3]) for match in matches if match}
    assert answers == {"1": ENTITIES, "2": {"Lamp": {"id": "7"}}, "3": {}}
    assert result.err.startswith("chatctl: 3 sent, 3 answered, wait min/mean/max = 0.")


def test_the_lines_of_standard_input_become_pairs_of_json(daemon: Daemon) -> None:
    result = run("request", "--json", daemon=daemon, stdin=f"{HUB}\n\n \nLamp&&id&&7&&")
    assert result.code == 0
    pairs = [json.loads(line) for line in result.out.splitlines()]
    assert {pair["seq"]: pair["request"] for pair in pairs} == {1: HUB, 2: "Lamp&&id&&7&&"}
    assert next(pair["response"] for pair in pairs if pair["seq"] == 1) == ENTITIES
    assert all(pair["wait_ms"] >= 20 for pair in pairs)


def test_a_file_is_read_line_by_line(daemon: Daemon, tmp_path: Path) -> None:
    file = tmp_path / "requests.txt"
    file.write_text(f"{HUB}\n" * 3)
    result = run("request", "--file", str(file), daemon=daemon)
    assert (result.code, result.out.count("seq=")) == (0, 3)


def test_nothing_to_send_is_no_failure(daemon: Daemon) -> None:
    result = run("request", daemon=daemon)
    assert result == (0, "", "chatctl: 0 sent\n")


def test_more_than_the_server_has_room_for_are_all_answered(daemon: Daemon) -> None:
    lines = "".join(f"Hub&&id&&{number}&&\n" for number in range(1_000))
    result = run("request", "--json", daemon=daemon, stdin=lines)
    assert result.code == 0
    pairs = [json.loads(line) for line in result.out.splitlines()]
    assert {pair["request"]: pair["response"] for pair in pairs} == {
        f"Hub&&id&&{number}&&": {"Hub": {"id": str(number)}} for number in range(1_000)
    }


def test_a_long_stream_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    """Twenty thousand lines, 50 at once: kept all together they would take 100 MB."""
    daemon = Daemon(tmp_path / "chatd", "--delay", "0:0", "--log-level", "warning")
    script = (
        "import sys; from chatctl.__main__ import main\n"
        "code = main(['request', '--concurrency', '50'])\n"
        # Not ru_maxrss, which counts the memory of who started the process, too.
        "peak = open('/proc/self/status').read().partition('VmHWM:')[2].split()[0]\n"
        "print(code, peak, file=sys.stderr)"
    )
    peaks = []
    for count in (500, 20_000):
        done = processes.run(
            [sys.executable, "-c", script],
            stdin=f"{'x' * 1_000}&&a&&b&&\n" * count,
            environment={"CHATCTL_SERVER": f"{daemon.host}:{daemon.port}", "HOME": str(tmp_path)},
        )
        assert done.out.count("seq=") == count
        code, peak = done.err.split()[-2:]
        assert code == "0"
        peaks.append(int(peak) * 1024)
    daemon.stop()
    assert peaks[1] - peaks[0] < 10 * 2**20


def test_a_request_that_cannot_be_sent_is_named_and_the_others_are_answered(
    daemon: Daemon,
) -> None:
    result = run("request", "x" * 70_000, HUB, daemon=daemon)
    assert result.code == 7
    assert "seq=2 wait=" in result.out
    assert "chatctl: seq=1: message too long: 700" in result.err
    assert "2 sent, 1 answered, 1 failed" in result.err


def test_where_all_are_refused_the_code_is_4(daemon: Daemon) -> None:
    result = run("request", "--json", "x" * 70_000, daemon=daemon)
    assert result.code == 4
    assert json.loads(result.out)["error"] == "line_too_long"


def test_where_none_is_answered_in_time_the_code_is_6(slow_daemon: Daemon) -> None:
    result = run("request", "--timeout", "1s", "a", "b", daemon=slow_daemon)
    assert (result.code, result.out) == (6, "")
    assert "chatctl: seq=1: no answer came within 1 s" in result.err
    assert "2 sent, 2 failed" in result.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--file", "/does/not/exist"], "cannot read /does/not/exist: no such file"),
        (["--file", "/dev/null", "a"], "either arguments or the lines of --file, not both"),
        (["--concurrency", "0"], "'0' is not a whole number of 1 or more"),
    ],
)
def test_what_cannot_be_meant_is_explained_with_code_2(
    arguments: list[str], complaint: str
) -> None:
    result = run("request", *arguments)
    assert (result.code, result.out) == (2, "")
    assert complaint in result.err


def test_a_line_that_is_no_text_is_named(daemon: Daemon, tmp_path: Path) -> None:
    file = tmp_path / "requests.txt"
    file.write_bytes(b"a&&b&&c\n\xff\n")
    result = run("request", "--file", str(file), daemon=daemon)
    assert result.code in (2, 7)
    assert f"{file}, line 2: not UTF-8" in result.err


def test_nobody_there_is_code_3() -> None:
    assert run("request", HUB, "--server", "127.0.0.1:1").code == 3


def test_an_interrupted_command_says_how_many_are_unanswered(slow_daemon: Daemon) -> None:
    logged = slow_daemon.stderr.count("Timeout ")
    command = begin("request", "--timeout", "1h", "a", "b", "c", daemon=slow_daemon)
    while slow_daemon.stderr.count("Timeout ") < logged + 3:
        assert command.poll() is None
    command.send_signal(signal.SIGINT)
    result = finish(command)
    assert (result.code, result.out) == (130, "")
    assert result.err == "chatctl: 3 sent, 3 unanswered\n"


def test_a_terminal_shows_a_bar_and_whole_lines(daemon: Daemon, terminals: Terminals) -> None:
    server = f"{daemon.host}:{daemon.port}"
    terminal = terminals.run("request", HUB, "Lamp&&id&&7&&", CHATCTL_SERVER=server)
    terminal.resize(24, 40)
    assert terminal.end() == 0
    assert "0/2" in terminal.text
    assert json.dumps(ENTITIES, separators=(",", ":")) in terminal.text, "not broken at column 40"


def test_a_server_that_goes_away_for_good_ends_it_with_what_is_unanswered(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, "--delay", "3600:3600")
    command = begin("request", "--timeout", "2s", "a", daemon=daemon)
    while "Timeout " not in daemon.stderr:
        assert command.poll() is None
    daemon.stop()
    result = finish(command)
    assert result.code in (3, 6), "whichever comes first: patience with the server or the answer"
    assert "Traceback" not in result.err
