"""Chat over real sockets with the real daemon, which prints messages where that is asked for."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.daemon_process import Daemon, RawClient
from tests.support.processes import TIMEOUT

Start = Callable[..., Daemon]


class OriginalClient:
    """A client of the original protocol: one object out, no newline, one answer in."""

    def __init__(self, address: tuple[str, int], name: str) -> None:
        self.socket = socket.create_connection(address, TIMEOUT)
        assert self.ask({"code": "hello", "name": name}) == {"code": "welcome"}

    def send(self, message: dict[str, Any]) -> None:
        self.socket.sendall(json.dumps(message).encode())

    def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(65536))
        return message

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self.send(message)
        return self.receive()


def test_a_client_of_the_original_protocol_works_unmodified(start: Start) -> None:
    address = start().address
    ann, bob = OriginalClient(address, "ann"), OriginalClient(address, "bob")
    with ann.socket, bob.socket:
        assert ann.ask({"code": "who"}) == {"code": "users", "users": ["ann", "bob"]}
        ann.send({"code": "outgoing", "to": "bob", "content": "hi"})
        assert bob.receive() == {"code": "incoming", "from": "ann", "content": "hi"}
        bob.send({"code": "outgoing_broadcast", "content": "hey"})
        assert ann.receive() == {"code": "incoming_broadcast", "from": "bob", "content": "hey"}
        ann.send({"code": "quit"})
        assert ann.socket.recv(100) == b""
        assert bob.ask({"code": "who"}) == {"code": "users", "users": ["bob"]}


def test_two_hundred_clients_see_everything_in_one_order(start: Start) -> None:
    address = start().address
    clients = [RawClient(address) for _ in range(200)]
    for number, client in enumerate(clients):
        client.hello(f"member {number}", version=1)
    for number, client in enumerate(clients):
        client.send("outgoing_broadcast", content=f"I am {number}", ref=str(number))
    streams = []
    for client in clients:
        received = [client.receive() for _ in clients]
        assert [message["code"] for message in received].count("ack") == 1
        streams.append([message["id"] for message in received])
        client.close()
    assert all(stream == list(range(1, 201)) for stream in streams)


def test_an_acknowledged_message_is_not_delivered_twice(daemon: Daemon) -> None:
    with RawClient(daemon.address) as ann, RawClient(daemon.address) as bob:
        token = ann.hello("ann", version=1)["token"]
        bob.hello("bob")
        first = ann.ask("outgoing", to="bob", content="once", ref="r1")
        ann.reset()
        with RawClient(daemon.address) as again:
            again.hello("ann", version=1, token=token)
            repeated = again.ask("outgoing", to="bob", content="once", ref="r1")
            again.ask("outgoing", to="bob", content="more", ref="r2")
        assert repeated == {"code": "ack", "ref": "r1", "id": first["id"], "duplicate": True}
        assert [bob.receive()["content"], bob.receive()["content"]] == ["once", "more"]


def test_a_resumed_client_gets_missed_messages_before_new_ones(daemon: Daemon) -> None:
    with RawClient(daemon.address) as carol, RawClient(daemon.address) as dave:
        dave.hello("dave", version=1)
        welcome = carol.hello("carol", version=1)
        carol.reset()
        for number in range(3):
            ack = dave.ask("outgoing", to="carol", content=f"missed {number}", ref=f"{number}")
            assert ack["code"] == "ack"
        with RawClient(daemon.address) as again:
            again.hello("carol", version=1, token=welcome["token"], after=welcome["last"])
            assert [again.receive()["content"] for _ in range(3)] == [
                f"missed {n}" for n in range(3)
            ]
            resumed = again.receive()
            assert (resumed["code"], resumed["count"], resumed["gap"]) == ("resumed", 3, False)
            dave.send("outgoing", to="carol", content="live")
            assert again.receive()["content"] == "live"


def test_a_second_login_with_the_token_replaces_the_first(daemon: Daemon) -> None:
    with RawClient(daemon.address) as old, RawClient(daemon.address) as new:
        token = old.hello("erin", version=1)["token"]
        new.hello("erin", version=1, token=token)
        error = old.receive()
        assert (error["code"], error["reason"]) == ("error", "replaced")
        assert old.receive() == {}
        assert new.ask("who")["users"].count("erin") == 1


@pytest.mark.parametrize("content", ["", "ä€😀", "a\nb\x00c", '"\\', " x ", "x" * 60_000])
def test_content_arrives_as_it_was_sent(daemon: Daemon, content: str) -> None:
    with RawClient(daemon.address) as frank:
        frank.hello("frank")
        frank.send("outgoing", to="frank", content=content)
        assert frank.receive() == {"code": "incoming", "from": "frank", "content": content}


def test_messages_are_printed_where_that_is_asked_for_and_nowhere_else(start: Start) -> None:
    loud, quiet = start("--print-messages"), start("--log-level", "debug")
    for daemon in (loud, quiet):
        with RawClient(daemon.address) as client:
            client.hello("ann", version=1, token="a secret of ann's")
            client.send("outgoing", to="ann", content="for \x1b[2J her eyes only")
            client.receive()
            client.send_bytes(b"what?\n")
            client.receive()
    assert "not a message" in loud.stderr
    assert r'"content":"for \u001b[2J her eyes only"' in loud.stderr
    assert "secret" not in loud.stderr
    assert "her eyes" not in quiet.stderr
    assert "what?" not in quiet.stderr
