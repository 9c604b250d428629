"""Chat over real sockets with the real daemon."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.daemon import Daemon
from tests.e2e.wire import PATIENCE, Wire


class Original:
    """A client of the original protocol: one object out, no newline, one answer in."""

    def __init__(self, address: tuple[str, int], name: str) -> None:
        self.socket = socket.create_connection(address, PATIENCE)
        assert self.ask({"code": "hello", "name": name}) == {"code": "welcome"}

    def tell(self, message: dict[str, Any]) -> None:
        self.socket.sendall(json.dumps(message).encode())

    def hear(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(65536))
        return message

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self.tell(message)
        return self.hear()


def test_a_client_of_the_original_protocol_works_unmodified(start: Callable[..., Daemon]) -> None:
    address = start().address
    ann, bob = Original(address, "ann"), Original(address, "bob")
    with ann.socket, bob.socket:
        assert ann.ask({"code": "who"}) == {"code": "users", "users": ["ann", "bob"]}
        ann.tell({"code": "outgoing", "to": "bob", "content": "hi"})
        assert bob.hear() == {"code": "incoming", "from": "ann", "content": "hi"}
        bob.tell({"code": "outgoing_broadcast", "content": "hey"})
        assert ann.hear() == {"code": "incoming_broadcast", "from": "bob", "content": "hey"}
        ann.tell({"code": "quit"})
        assert ann.socket.recv(100) == b""
        assert bob.ask({"code": "who"}) == {"code": "users", "users": ["bob"]}


def test_two_hundred_clients_see_everything_in_one_order(start: Callable[..., Daemon]) -> None:
    address = start().address
    clients = [Wire(address) for _ in range(200)]
    for number, client in enumerate(clients):
        client.hello(f"member {number}", version=1)
    for number, client in enumerate(clients):
        client.say("outgoing_broadcast", content=f"I am {number}", ref=str(number))
    streams = []
    for client in clients:
        heard = [client.hear() for _ in clients]
        assert [message["code"] for message in heard].count("ack") == 1
        streams.append([message["id"] for message in heard])
        client.close()
    assert all(stream == list(range(1, 201)) for stream in streams)


def test_an_acknowledged_message_is_not_delivered_twice(daemon: Daemon) -> None:
    with Wire(daemon.address) as ann, Wire(daemon.address) as bob:
        token = ann.hello("ann", version=1)["token"]
        bob.hello("bob")
        first = ann.ask("outgoing", to="bob", content="once", ref="r1")
        ann.reset()
        with Wire(daemon.address) as again:
            again.hello("ann", version=1, token=token)
            repeated = again.ask("outgoing", to="bob", content="once", ref="r1")
            again.ask("outgoing", to="bob", content="more", ref="r2")
        assert repeated == {"code": "ack", "ref": "r1", "id": first["id"], "duplicate": True}
        assert [bob.hear()["content"], bob.hear()["content"]] == ["once", "more"]


def test_who_comes_back_gets_what_was_missed_and_then_what_comes(daemon: Daemon) -> None:
    with Wire(daemon.address) as carol, Wire(daemon.address) as dave:
        dave.hello("dave", version=1)
        welcome = carol.hello("carol", version=1)
        carol.reset()
        for number in range(3):
            ack = dave.ask("outgoing", to="carol", content=f"missed {number}", ref=f"{number}")
            assert ack["code"] == "ack"
        with Wire(daemon.address) as again:
            again.hello("carol", version=1, token=welcome["token"], after=welcome["last"])
            assert [again.hear()["content"] for _ in range(3)] == [f"missed {n}" for n in range(3)]
            resumed = again.hear()
            assert (resumed["code"], resumed["count"], resumed["gap"]) == ("resumed", 3, False)
            dave.say("outgoing", to="carol", content="live")
            assert again.hear()["content"] == "live"


def test_a_second_sign_in_with_the_token_replaces_the_first(daemon: Daemon) -> None:
    with Wire(daemon.address) as old, Wire(daemon.address) as new:
        token = old.hello("erin", version=1)["token"]
        new.hello("erin", version=1, token=token)
        error = old.hear()
        assert (error["code"], error["reason"]) == ("error", "replaced")
        assert old.hear() == {}
        assert new.ask("who")["users"].count("erin") == 1


@pytest.mark.parametrize("content", ["", "ä€😀", "a\nb\x00c", '"\\', " x ", "x" * 60_000])
def test_content_arrives_as_it_was_sent(daemon: Daemon, content: str) -> None:
    with Wire(daemon.address) as frank:
        frank.hello("frank")
        frank.say("outgoing", to="frank", content=content)
        assert frank.hear() == {"code": "incoming", "from": "frank", "content": content}
