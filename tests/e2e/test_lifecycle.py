"""How the daemon starts and stops, with wrong settings and unusable standard streams too."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.daemon_process import Daemon, RawClient, command, refused
from tests.support.kernel_sockets import listening_ports, timer
from tests.support.processes import TIMEOUT, wait_until

Start = Callable[..., Daemon]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_notifies_every_client_and_exits_with_0(
    start: Start, number: signal.Signals
) -> None:
    daemon = start()
    with RawClient(daemon.address) as ann, RawClient(daemon.address) as anonymous:
        ann.hello("ann")
        assert anonymous.ask("ping")["code"] == "pong"
        ann.send("outgoing", to="ann", content="last words")
        assert ann.receive()["content"] == "last words"
        daemon.process.send_signal(number)
        for client in (ann, anonymous):
            error = client.receive()
            assert (error["code"], error["reason"]) == ("error", "shutting_down")
            assert client.receive() == {}
            client.close()
    daemon.wait()
    assert "stopped: connections 2 (refused 0), " in daemon.stderr
    assert "stored 1 (not stored 0), commits 1, " in daemon.stderr


def test_the_kernel_is_to_notice_that_the_host_of_a_client_is_gone(start: Start) -> None:
    daemon = start()
    with RawClient(daemon.address) as client:
        assert timer(daemon.port, client.socket) == "keep-alive"


def test_it_stops_whatever_clients_do(start: Start) -> None:
    """The clients keep their connections, and the daemon waits for none of them for long."""
    daemon = start(is_debugged=False)
    with (
        RawClient(daemon.address) as slow,
        RawClient(daemon.address) as subscriber,
        RawClient(daemon.address) as idle,
        RawClient(daemon.address) as loud,
    ):
        slow.hello("slow")
        subscriber.send("subscribe", interval_ms=0)
        subscriber.receive()
        loud.hello("loud")
        idle.send_bytes(b'{"code":"hello","na')
        for _ in range(60):
            loud.send("outgoing", to="slow", content="x" * 60_000)
        assert loud.ask("ping")["code"] == "pong"
        daemon.stop()


def test_a_second_signal_exits_at_once(start: Start) -> None:
    daemon = start()
    with RawClient(daemon.address) as silent:
        silent.hello("silent")
        for number in (signal.SIGTERM, signal.SIGINT):  # two of a kind could become one
            daemon.process.send_signal(number)
        assert daemon.process.wait(TIMEOUT) == 130


def test_ctrl_c_while_it_starts_ends_it_without_a_word(tmp_path: Path) -> None:
    log = tmp_path / "log.sqlite"
    os.mkfifo(log)
    starting = processes.start(command("--data", str(tmp_path)))
    with log.open("wb"):  # which waits until the log is being opened
        starting.send_signal(signal.SIGINT)
        assert processes.finish(starting) == (-signal.SIGINT, "", "")


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, line = refused("--port", port, "--data", str(tmp_path))
    assert code == 3
    assert line == (
        f"chatd: cannot listen on 127.0.0.1:{port}: the port is already in use; "
        "stop the other program or choose another --port"
    )


def test_an_address_of_another_machine_is_one_clear_line(tmp_path: Path) -> None:
    code, line = refused("--host", "192.0.2.1", "--port", "5555", "--data", str(tmp_path))
    assert (code, line) == (
        3,
        "chatd: cannot listen on 192.0.2.1:5555: cannot assign requested address; "
        "choose another --host or --port",
    )


def test_two_daemons_never_share_a_port(start: Start, tmp_path: Path) -> None:
    port = str(start().port)
    code, line = refused("--port", port, "--data", str(tmp_path / "other"))
    assert code == 3
    assert f"127.0.0.1:{port}: the port is already in use" in line


def test_a_data_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, line = refused("--data", str(tmp_path / "file" / "folder"))
    assert code == 2
    assert line.startswith("chatd: cannot write to ")
    assert line.endswith("; choose another directory with --data")


@pytest.mark.parametrize(
    ("options", "environment", "line"),
    [
        (
            ["--idle-timeout", "5"],
            {},
            "chatd: --idle-timeout: '5' is not a duration (examples: 10ms, 4s, 5m, 1h, 7d, 0)",
        ),
        ([], {"CHATD_MAX_LINE": "many"}, "chatd: CHATD_MAX_LINE: 'many' is not a size ("),
    ],
)
def test_a_bad_setting_is_named_with_its_source(
    options: list[str], environment: dict[str, str], line: str
) -> None:
    code, stderr = refused(*options, **environment)
    assert code == 2
    assert stderr.startswith(line)


def test_the_first_line_tells_where_it_listens(start: Start) -> None:
    daemon = start("--host", "::1")
    assert daemon.first_line == f"listening on [::1]:{daemon.port}\n"
    with RawClient(("::1", daemon.port)) as client:
        assert client.ask("ping")["code"] == "pong"


def test_what_was_taken_before_the_signal_is_acknowledged(start: Start) -> None:
    daemon = start()
    with RawClient(daemon.address) as ann:
        ann.hello("ann", version=1)
        for number in range(500):
            ann.send("outgoing_broadcast", content="…", ref=str(number))
        assert ann.receive()["ref"] == "0"
        daemon.process.send_signal(signal.SIGTERM)
        codes = [line.split('"')[3] for line in ann.receive_to_end()]
    daemon.wait()
    assert codes[-1] == "error"
    assert set(codes[:-1]) <= {"ack"}


@pytest.fixture
def data(start: Callable[..., Daemon]) -> str:
    """A data directory that was in use."""
    daemon = start()
    daemon.stop()
    return str(daemon.folder)


def run(output: int, *options: str, is_buffered: bool) -> tuple[int, str]:
    """Run chatd with its stdout on a descriptor; return its exit code and what it complains of."""
    environment = {"PYTHONUNBUFFERED": "" if is_buffered else "1"}
    done = processes.run(command(*options), stdout=output, environment=environment)
    return done.code, done.err


@contextmanager
def redirected(streams: str, data: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a daemon with its streams redirected; it is killed at the end if it still runs."""
    shell = ["sh", "-c", f'exec "$@" {streams}', "sh", *command("--data", str(data))]
    with processes.start(shell) as daemon:
        try:
            yield daemon
        finally:
            daemon.kill()


@pytest.mark.parametrize("is_buffered", [True, False], ids=["buffered", "unbuffered"])
def test_what_nobody_reads_ends_as_sigpipe_would_end_it_and_quietly(
    data: str, *, is_buffered: bool
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for options in (["--help"], ["--version"], ["--check", data]):
        assert run(writer, *options, is_buffered=is_buffered) == (128 + signal.SIGPIPE, "")
    os.close(writer)


@pytest.mark.parametrize("is_buffered", [True, False], ids=["buffered", "unbuffered"])
def test_what_finds_no_room_is_one_clear_line(data: str, *, is_buffered: bool) -> None:
    with Path("/dev/full").open("wb") as full:
        for options in (["--help"], ["--version"], ["--check", data]):
            code, output = run(full.fileno(), *options, is_buffered=is_buffered)
            assert (code, output) == (2, "chatd: cannot write to stdout: no space left on device\n")


@pytest.mark.parametrize("streams", [">&-", "> /dev/full", "<&- >&-", "<&- >&- 2>&-"])
def test_a_daemon_serves_and_stops_whatever_its_streams_are(streams: str, tmp_path: Path) -> None:
    with redirected(streams, tmp_path) as daemon:
        wait_until(lambda: listening_ports(daemon.pid), lambda: "it does not listen")
        (port,) = listening_ports(daemon.pid)
        with RawClient(("127.0.0.1", port)) as client:
            assert client.ask("ping")["code"] == "pong"
        daemon.terminate()
        ended = processes.finish(daemon)
        assert ended.code == 0
        assert "Traceback" not in ended.err
