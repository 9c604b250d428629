"""Requests to a real daemon: waits, order, errors, and half-closed connections."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from tests.support import processes
from tests.support.daemon_process import Daemon, RawClient
from tests.support.programs import require

HUB: Final = "Hub&&name&&qwe&&id&&123&&%%Device&&name&&wqe&&id&&234&&"
ASKED: Final = f'{{"request_id":"01","data":"{HUB}"}}'
ANSWERED: Final = (
    '{"request_id":"01","data":'
    '{"Hub":{"name":"qwe","id":"123"},"Device":{"name":"wqe","id":"234"}}}'
)
SEED: Final = 15
DELAY: Final = (0.2, 0.6)
LATE: Final = 40.0
"""Seconds (s) that an answer may be late on a busy machine; on an idle one it is 2 ms."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with short delays."""
    running = Daemon(tmp_path_factory.mktemp("chatd"), "--delay", "{}:{}".format(*DELAY))
    yield running
    running.stop()


def asking(request_id: str | int, data: str = "a&&b&&c") -> bytes:
    """Return the line of a request; lines that are sent together are read before one is due."""
    return json.dumps({"request_id": request_id, "data": data}).encode() + b"\n"


def ask(client: RawClient, request_id: str | int, data: str = "a&&b&&c") -> None:
    client.send_bytes(asking(request_id, data))


def test_the_example_of_the_specification_gets_exactly_its_answer(daemon: Daemon) -> None:
    with RawClient(daemon.address) as client:
        client.send_bytes(ASKED.encode() + b"\n")
        assert client.receive_line() == ANSWERED


def test_netcat_prints_the_answer_though_its_input_ended_before(daemon: Daemon) -> None:
    command = [require("nc"), "-N", daemon.host, str(daemon.port)]
    asked = ASKED  # without a newline, as printf writes it
    assert processes.run(command, stdin=asked) == (0, ANSWERED + "\n", "")


def test_a_half_closed_connection_is_closed_after_its_last_answer(daemon: Daemon) -> None:
    with RawClient(daemon.address) as client:
        for number in range(20):
            ask(client, number)
        client.half_close()
        received = [json.loads(line)["request_id"] for line in client.receive_to_end()]
    assert sorted(received) == list(range(20))


def test_two_requests_sent_together_are_answered_after_their_own_delays(
    start: Callable[..., Daemon],
) -> None:
    draw = Random(SEED)
    delays = {"first": draw.uniform(*DELAY), "second": draw.uniform(*DELAY)}
    assert delays["second"] < delays["first"] - 0.1, "a seed with which they change places"
    daemon = start("--delay", "{}:{}".format(*DELAY), "--delay-seed", str(SEED))
    with RawClient(daemon.address) as client:
        began = time.monotonic()
        client.send_bytes(b'{"request_id":"first","data":"a"}{"request_id":"second","data":"b"}')
        for expected in ("second", "first"):
            assert client.receive()["request_id"] == expected
            assert delays[expected] <= time.monotonic() - began < delays[expected] + LATE


def test_the_log_has_each_delay(start: Callable[..., Daemon]) -> None:
    draw = Random(SEED)
    daemon = start("--delay", "0.05:3", "--delay-seed", str(SEED))
    with RawClient(daemon.address) as client:
        ask(client, 1)
        ask(client, 2)
        for _ in range(2):
            daemon.wait_for_log(f"Timeout {draw.uniform(0.05, 3):.1f} seconds for this one.")


def test_an_answer_waits_for_no_other(daemon: Daemon) -> None:
    """A thousand requests of up to 0.6 s each are answered in about 0.6 s."""
    with RawClient(daemon.address) as client:
        began = time.monotonic()
        for number in range(1_000):
            ask(client, number)
        received = [client.receive()["request_id"] for _ in range(1_000)]
        assert time.monotonic() - began < DELAY[1] + LATE
    assert sorted(received) == list(range(1_000))
    assert received != sorted(received)


def test_a_request_with_a_code_is_answered_with_one_and_ids_come_back_as_sent(
    daemon: Daemon,
) -> None:
    with RawClient(daemon.address) as client:
        assert client.ask("request", request_id=-7, data="a&&b&&c") == {
            "code": "response",
            "request_id": -7,
            "data": {"a": {"b": "c"}},
        }


BAD: Final[list[tuple[bytes, dict[str, Any]]]] = [
    (b'{"request_id":1,"data":7}', {"reason": "bad_field", "request_id": 1}),
    (b'{"request_id":"x","data":null}', {"reason": "bad_field", "request_id": "x"}),
    (b'{"request_id":"x"}', {"reason": "bad_field", "request_id": "x"}),
    (b'{"code":"request","request_id":2}', {"reason": "bad_field", "request_id": 2}),
    (b'{"code":"request","data":"a"}', {"reason": "bad_field"}),
    (b'{"request_id":[1],"data":"a"}', {"code": "error"}),
    (b'{"request_id":1.5,"data":"a"}', {"code": "error"}),
    (b'{"data":"a"}', {"reason": "unknown_code"}),
    (b'{"request_id":1,"data":"a"', {"reason": "bad_json"}),
    (b'{"request_id":"pending","data":"a"}', {"reason": "duplicate_request"}),
    (b'{"request_id":"long","data":"' + b"x" * 70_000 + b'"}', {"reason": "line_too_long"}),
]


@pytest.mark.parametrize(("line", "error"), BAD, ids=[str(row[1]) for row in BAD])
def test_a_bad_request_gets_its_error_and_the_rest_of_the_pipeline_its_answers(
    daemon: Daemon, line: bytes, error: dict[str, Any]
) -> None:
    with RawClient(daemon.address) as client:
        client.send_bytes(asking("pending") + line + b"\n" + asking("behind"))
        received = client.receive()
        assert received == received | {"code": "error"} | error
        assert received["detail"]
        assert {client.receive()["request_id"] for _ in range(2)} == {"pending", "behind"}


def test_over_the_limit_requests_are_refused_with_their_id(start: Callable[..., Daemon]) -> None:
    daemon = start("--delay", "0.2:0.2", "--max-pending", "3")
    with RawClient(daemon.address) as client:
        client.send_bytes(b"".join(map(asking, range(5))))
        errors = [client.receive() for _ in range(2)]
        assert [(error["reason"], error["request_id"]) for error in errors] == [
            ("too_many_requests", 3),
            ("too_many_requests", 4),
        ]
        assert [client.receive()["request_id"] for _ in range(3)] == [0, 1, 2]
        ask(client, 3)
        assert client.receive()["request_id"] == 3


def test_other_messages_are_answered_while_requests_wait(daemon: Daemon) -> None:
    with RawClient(daemon.address) as client:
        client.send_bytes(asking(1) + b'{"code":"ping"}{"code":"hello","name":"busy"}')
        assert [client.receive()["code"] for _ in range(2)] == ["pong", "welcome"]
        assert client.receive()["request_id"] == 1


@pytest.mark.parametrize("leave", [RawClient.close, RawClient.reset], ids=["close", "reset"])
def test_a_client_that_leaves_with_requests_pending_disturbs_nobody(
    start: Callable[..., Daemon], leave: Callable[[RawClient], None]
) -> None:
    daemon = start("--delay", "0.1:0.3")
    with RawClient(daemon.address) as observer:
        leaver = RawClient(daemon.address)
        for number in range(1_000):
            ask(leaver, number)
            ask(observer, number)
        leave(leaver)
        assert {observer.receive()["request_id"] for _ in range(1_000)} == set(range(1_000))
    daemon.stop()  # which also looks for tracebacks


def test_a_disconnect_gives_back_the_memory_of_what_was_pending(
    start: Callable[..., Daemon],
) -> None:
    """Twenty rounds of 7 MB of answers that nobody waits for: kept, they would be 140 MB."""
    daemon = start("--delay", "3600:3600", "--log-level", "warning", is_debugged=False)
    resident = []
    for _ in range(20):
        with RawClient(daemon.address) as client:
            for number in range(120):
                ask(client, number, f"a&&b&&{'x' * 60_000}")
            assert client.ask("ping")["code"] == "pong"  # all before it were taken
            client.reset()  # a plain close would only shut down the sending side
        with RawClient(daemon.address) as client:
            assert client.ask("ping")["code"] == "pong"
        resident.append(resident_bytes(daemon.process.pid))
    assert resident[-1] - resident[0] < 40 * 2**20


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


def test_a_daemon_that_stops_does_not_wait_for_what_is_pending(
    start: Callable[..., Daemon],
) -> None:
    daemon = start("--delay", "3600:3600")
    with RawClient(daemon.address) as client:
        ask(client, 1)
        daemon.wait_for_log("Timeout 3600.0 seconds")
        daemon.process.send_signal(signal.SIGTERM)
        assert client.receive()["reason"] == "shutting_down"
    daemon.wait()
