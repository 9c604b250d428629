"""The introduction of two peers: who is let in, and who is not. No sockets."""

from collections.abc import Callable
from typing import Final

import pytest
from msgspec import structs

from chatctl.sharing.handshake import (
    Card,
    Dialing,
    Handshake,
    HandshakeError,
    Listening,
    secret,
    stretch,
)
from common.messages.base import Error, Message
from common.messages.introduction import Challenge, KeepAlive, PeerAuth, PeerHello

ANN: Final = Card("ann", "a" * 32, 4001, "digest of ann's files")
BOB: Final = Card("bob", "b" * 32, 4002, "digest of bob's files")
SECRET: Final = secret("the ticket", b"")


def common(ticket: str, key: str) -> bytes:
    return secret(ticket, stretch(key, "run"))


def dialing(own: Card = ANN, shared: bytes = SECRET, group: str = "run") -> Dialing:
    return Dialing(own, group, shared, "1" * 32)


def listening(own: Card = BOB, shared: bytes = SECRET, group: str = "run") -> Listening:
    return Listening(own, group, shared, "2" * 32)


def converse(dialer: Handshake, listener: Handshake) -> None:
    """Carry messages to and fro until nobody has anything to say."""
    message, hears, speaks = dialer.begin(), listener, dialer
    while message is not None:
        message, hears, speaks = hears.take(message), speaks, hears


def test_who_has_the_same_secret_is_known_to_each_other() -> None:
    ann, bob = dialing(), listening()
    converse(ann, bob)
    assert (ann.peer, bob.peer) == (BOB, ANN)


def test_it_takes_three_messages_and_who_listens_says_nothing_first() -> None:
    ann, bob = dialing(), listening()
    assert bob.begin() is None
    knock = ann.begin()
    assert isinstance(knock, PeerHello)
    challenge = bob.take(knock)
    assert isinstance(challenge, Challenge)
    assert bob.peer is None
    admission = ann.take(challenge)
    assert isinstance(admission, PeerAuth)
    assert bob.take(admission) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("the ticket", ""), ("another", "")),
        (("the ticket", ""), ("", "")),
        (("the ticket", "key"), ("the ticket", "")),
        (("the ticket", "key"), ("the ticket", "another")),
        (("the ticket", "key"), ("another", "key")),
        (("", "key"), ("", "another")),
        (("", "key"), ("key", "")),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_another_ticket_or_key_is_refused_by_who_dials_before_it_proves_anything(
    one: tuple[str, str], other: tuple[str, str], swapped: bool
) -> None:
    if swapped:
        one, other = other, one
    ann = dialing(shared=common(*one))
    bob = listening(shared=common(*other))
    with pytest.raises(HandshakeError, match="see --key") as refusal:
        converse(ann, bob)
    assert refusal.value.error.reason == "unauthorized"
    assert ann.peer is bob.peer is None


def test_the_same_key_is_another_secret_in_another_group() -> None:
    assert stretch("key", "run") != stretch("key", "another")


def forged(admission: PeerAuth) -> PeerAuth:
    return PeerAuth("0" * 64)


def unchanged(admission: PeerAuth) -> PeerAuth:
    return admission


@pytest.mark.parametrize("forge", [forged, unchanged])
def test_who_listens_lets_in_only_who_proves_itself_to_this_very_challenge(
    forge: Callable[[PeerAuth], PeerAuth],
) -> None:
    ann, earlier = dialing(), listening()
    knock = ann.begin()
    assert knock is not None
    challenge = earlier.take(knock)
    assert challenge is not None
    admission = ann.take(challenge)
    assert isinstance(admission, PeerAuth)
    later = Listening(BOB, "run", SECRET, "3" * 32)
    later.take(knock)
    with pytest.raises(HandshakeError, match="see --key"):
        later.take(forge(admission))
    assert later.peer is None


def test_the_proof_of_who_listens_does_not_serve_who_dials() -> None:
    bob = listening()
    knock = dialing().begin()
    assert knock is not None
    challenge = bob.take(knock)
    assert isinstance(challenge, Challenge)
    with pytest.raises(HandshakeError):
        bob.take(PeerAuth(challenge.proof))


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
def test_what_somebody_in_between_changes_is_noticed(name: str, value: str | int) -> None:
    knock = dialing().begin()
    assert knock is not None
    challenge = listening().take(structs.replace(knock, **{name: value}))
    assert challenge is not None
    with pytest.raises(HandshakeError, match="see --key"):
        dialing().take(challenge)
    challenge = listening().take(knock)
    assert challenge is not None
    with pytest.raises(HandshakeError, match="see --key"):
        dialing().take(structs.replace(challenge, **{name: value}))


@pytest.mark.parametrize(
    ("dialer", "listener", "reason", "text"),
    [
        (dialing(group="another"), listening(), "unauthorized", "another group"),
        (dialing(own=BOB), listening(), "name_taken", "itself"),
        (
            dialing(own=structs.replace(ANN, id="bob")),
            listening(),
            "name_taken",
            "choose another with --id",
        ),
        (dialing(own=structs.replace(ANN, id="../etc")), listening(), "bad_field", "separator"),
        (dialing(), listening(own=structs.replace(BOB, id=".x")), "bad_field", "dot"),
    ],
)
def test_who_cannot_be_a_peer_is_told_why(
    dialer: Dialing, listener: Listening, reason: str, text: str
) -> None:
    with pytest.raises(HandshakeError, match=text) as refusal:
        converse(dialer, listener)
    assert refusal.value.error.reason == reason


def test_another_version_is_named() -> None:
    knock = dialing().begin()
    assert knock is not None
    with pytest.raises(HandshakeError, match="version 2") as refusal:
        listening().take(structs.replace(knock, version=2))
    assert refusal.value.error.detail == "this peer speaks version 1, not 2"


KNOCK: Final = dialing().begin()
CHALLENGE: Final = Challenge("bob", "b" * 32, 4002, "", "2" * 32, "0" * 64)
ADMISSION: Final = PeerAuth("0" * 64)
REFUSAL: Final = Error("unauthorized", "go away")


@pytest.mark.parametrize(
    ("make", "messages", "text"),
    [
        (listening, [ADMISSION], "admission is not what comes now"),
        (listening, [CHALLENGE], "challenge is not what comes now"),
        (listening, [KNOCK, KNOCK], "peer_hello is not what comes now"),
        (listening, [KeepAlive()], "alive is not what comes now"),
        (dialing, [KNOCK], "peer_hello is not what comes now"),
        (dialing, [ADMISSION], "admission is not what comes now"),
        (dialing, [REFUSAL], "it refused: go away"),
        (listening, [KNOCK, REFUSAL], "it refused: go away"),
    ],
)
def test_nothing_else_is_taken(
    make: Callable[[], Handshake], messages: list[Message], text: str
) -> None:
    side = make()
    side.begin()
    for message in messages[:-1]:
        side.take(message)
    with pytest.raises(HandshakeError, match=text):
        side.take(messages[-1])
    assert side.peer is None
