"""The handshake of two peers: which peers are authenticated and which are rejected."""

from collections.abc import Callable
from typing import Final

import pytest
from msgspec import structs

from chatctl.share.handshake import (
    Handshake,
    HandshakeError,
    Initiator,
    PeerInfo,
    Responder,
    derive_key,
    group_key,
)
from common.messages.base import Error, Message
from common.messages.peer_wire import Challenge, KeepAlive, PeerAuth, PeerHello

ANN: Final = PeerInfo("ann", "a" * 32, 4001, "digest of ann's files")
BOB: Final = PeerInfo("bob", "b" * 32, 4002, "digest of bob's files")
SECRET: Final = group_key("the secret", b"")


def common(group_secret: str, key: str) -> bytes:
    return group_key(group_secret, derive_key(key, "run"))


def initiator(own: PeerInfo = ANN, secret_key: bytes = SECRET, group: str = "run") -> Initiator:
    return Initiator(own, group, secret_key, "1" * 32)


def responder(own: PeerInfo = BOB, secret_key: bytes = SECRET, group: str = "run") -> Responder:
    return Responder(own, group, secret_key, "2" * 32)


def handle_message(dialer: Handshake, listener: Handshake) -> None:
    """Carry messages to and fro until nobody has anything to say."""
    message, hears, speaks = dialer.first_message(), listener, dialer
    while message is not None:
        message, hears, speaks = hears.receive(message), speaks, hears


def test_peers_with_the_same_key_authenticate_each_other() -> None:
    ann, bob = initiator(), responder()
    handle_message(ann, bob)
    assert (ann.peer_info, bob.peer_info) == (BOB, ANN)


def test_a_handshake_has_three_messages_and_the_initiator_begins() -> None:
    ann, bob = initiator(), responder()
    assert bob.first_message() is None
    hello = ann.first_message()
    assert isinstance(hello, PeerHello)
    challenge = bob.receive(hello)
    assert isinstance(challenge, Challenge)
    assert bob.peer_info is None
    admission = ann.receive(challenge)
    assert isinstance(admission, PeerAuth)
    assert bob.receive(admission) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("the secret", ""), ("another", "")),
        (("the secret", ""), ("", "")),
        (("the secret", "key"), ("the secret", "")),
        (("the secret", "key"), ("the secret", "another")),
        (("the secret", "key"), ("another", "key")),
        (("", "key"), ("", "another")),
        (("", "key"), ("key", "")),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_the_initiator_rejects_another_key_before_it_sends_a_proof(
    one: tuple[str, str], other: tuple[str, str], swapped: bool
) -> None:
    if swapped:
        one, other = other, one
    ann = initiator(secret_key=common(*one))
    bob = responder(secret_key=common(*other))
    with pytest.raises(HandshakeError, match="--key or group secret differs") as error:
        handle_message(ann, bob)
    assert error.value.reply.reason == "unauthorized"
    assert ann.peer_info is bob.peer_info is None


def test_the_same_key_gives_another_group_key_in_another_group() -> None:
    assert derive_key("key", "run") != derive_key("key", "another")


def forged(admission: PeerAuth) -> PeerAuth:
    return PeerAuth("0" * 64)


def unchanged(admission: PeerAuth) -> PeerAuth:
    return admission


@pytest.mark.parametrize("forge", [forged, unchanged])
def test_the_responder_accepts_only_a_proof_for_its_challenge(
    forge: Callable[[PeerAuth], PeerAuth],
) -> None:
    ann, earlier = initiator(), responder()
    hello = ann.first_message()
    assert hello is not None
    challenge = earlier.receive(hello)
    assert challenge is not None
    admission = ann.receive(challenge)
    assert isinstance(admission, PeerAuth)
    later = Responder(BOB, "run", SECRET, "3" * 32)
    later.receive(hello)
    with pytest.raises(HandshakeError, match="--key or group secret differs"):
        later.receive(forge(admission))
    assert later.peer_info is None


def test_a_proof_cannot_be_reflected() -> None:
    bob = responder()
    hello = initiator().first_message()
    assert hello is not None
    challenge = bob.receive(hello)
    assert isinstance(challenge, Challenge)
    with pytest.raises(HandshakeError):
        bob.receive(PeerAuth(challenge.proof))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "eve"),
        ("run", "e" * 32),
        ("port", 1),
        ("digest", "digest of eve's"),
        ("nonce", "9" * 32),
    ],
)
def test_a_change_by_a_man_in_the_middle_is_detected(name: str, value: str | int) -> None:
    hello = initiator().first_message()
    assert hello is not None
    challenge = responder().receive(structs.replace(hello, **{name: value}))
    assert challenge is not None
    with pytest.raises(HandshakeError, match="--key or group secret differs"):
        initiator().receive(challenge)
    challenge = responder().receive(hello)
    assert challenge is not None
    with pytest.raises(HandshakeError, match="--key or group secret differs"):
        initiator().receive(structs.replace(challenge, **{name: value}))


@pytest.mark.parametrize(
    ("dialer", "listener", "reason", "text"),
    [
        (initiator(group="another"), responder(), "unauthorized", "another group"),
        (initiator(own=BOB), responder(), "name_taken", "itself"),
        (
            initiator(own=structs.replace(ANN, id="bob")),
            responder(),
            "name_taken",
            "choose another with --id",
        ),
        (initiator(own=structs.replace(ANN, id="../etc")), responder(), "bad_field", "not contain"),
        (initiator(), responder(own=structs.replace(BOB, id=".x")), "bad_field", "dot"),
    ],
)
def test_an_invalid_peer_gets_the_reason(
    dialer: Initiator, listener: Responder, reason: str, text: str
) -> None:
    with pytest.raises(HandshakeError, match=text) as error:
        handle_message(dialer, listener)
    assert error.value.reply.reason == reason


def test_another_version_is_named() -> None:
    hello = initiator().first_message()
    assert hello is not None
    with pytest.raises(HandshakeError, match="version 2") as error:
        responder().receive(structs.replace(hello, version=2))
    assert error.value.reply.detail == "this peer speaks version 1, not 2"


HELLO: Final = initiator().first_message()
CHALLENGE: Final = Challenge("bob", "b" * 32, 4002, "", "2" * 32, "0" * 64)
PEER_AUTH: Final = PeerAuth("0" * 64)
REFUSED: Final = Error("unauthorized", "go away")


@pytest.mark.parametrize(
    ("make", "messages", "text"),
    [
        (responder, [PEER_AUTH], "admission is unexpected"),
        (responder, [CHALLENGE], "challenge is unexpected"),
        (responder, [HELLO, HELLO], "peer_hello is unexpected"),
        (responder, [KeepAlive()], "alive is unexpected"),
        (initiator, [HELLO], "peer_hello is unexpected"),
        (initiator, [PEER_AUTH], "admission is unexpected"),
        (initiator, [REFUSED], "it refused: go away"),
        (responder, [HELLO, REFUSED], "it refused: go away"),
    ],
)
def test_any_other_message_is_rejected(
    make: Callable[[], Handshake], messages: list[Message], text: str
) -> None:
    side = make()
    side.first_message()
    for message in messages[:-1]:
        side.receive(message)
    with pytest.raises(HandshakeError, match=text):
        side.receive(messages[-1])
    assert side.peer_info is None
