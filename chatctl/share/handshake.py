"""The handshake between two peers (sans-I/O): mutual challenge-response authentication.

1. The initiator, which dialled, sends `PeerHello`.
2. The responder answers with `Challenge`, which contains its proof.
3. The initiator sends `PeerAuth`, its own proof. From then on both sides are authenticated.

A proof is an HMAC-SHA256 (RFC 2104), keyed with the key of the group, over the fields of both hello
and challenge and the role of its sender. The nonces prevent replay, and the role prevents
reflection. The fields include the digests of both manifests, so nobody in the middle can pass off
other files as those of a peer.
"""

import hashlib
import hmac
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from common.messages.base import Error, Message, Reason
from common.messages.peer_wire import VERSION, Challenge, PeerAuth, PeerHello
from common.names import check_id

_DIALER: Final = "dialer"
_LISTENER: Final = "listener"


class PeerInfo(Struct, frozen=True):
    """What identifies a peer; see `common.messages.peer_wire.PeerHello`."""

    id: str
    run: str
    port: int
    digest: str


class HandshakeError(Exception):
    """The handshake failed: `reply` is for the other side, and the text is for this one."""

    def __init__(self, reason: Reason, detail: str, text: str) -> None:
        super().__init__(text)
        self.reply = Error(reason, detail)


class Handshake(Protocol):
    """One side of a handshake."""

    peer_info: PeerInfo | None
    """The other side, once it is authenticated."""

    def first_message(self) -> Message | None:
        """Return the message to send first, None to wait for the other side."""

    def receive(self, message: Message) -> Message | None:
        """Return the answer to a message, None if there is none; raises HandshakeError."""


def derive_key(key: str, group: str) -> bytes:
    """Derive 32 bytes from a `key` that a person chose; an empty key stays empty.

    Whoever receives a proof can try guesses on it offline. With scrypt (RFC 7914, N = 2^14, r = 8,
    p = 1) each guess costs 16 MiB and some 50 ms.
    """
    if not key:
        return b""
    salt = f"chatd peers {group}".encode()
    return hashlib.scrypt(key.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)


def group_key(group_secret: str, derived_key: bytes) -> bytes:
    """Return the key of a group (32 bytes), which its peers have in common.

    It is HKDF-Extract (RFC 5869, 2.2) of the derived key, with the server's `group_secret` as the
    salt. Either may be empty.
    """
    return hmac.digest(group_secret.encode(), derived_key, "sha256")


class Initiator:
    """The side that dialled; `nonce` must be new for each connection."""

    def __init__(self, own: PeerInfo, group: str, secret_key: bytes, nonce: str) -> None:
        self.peer_info: PeerInfo | None = None
        self._own = own
        self._hello = PeerHello(VERSION, group, own.id, own.run, own.port, own.digest, nonce)
        self._secret = secret_key

    def first_message(self) -> Message | None:
        """Return the hello."""
        return self._hello

    def receive(self, message: Message) -> Message | None:
        """Verify the challenge, and return this side's proof."""
        if not isinstance(message, Challenge) or self.peer_info is not None:
            raise _unexpected(message)
        peer_info = _identify(self._own, message)
        _check(message.proof, _proof(self._secret, _LISTENER, self._hello, message))
        self.peer_info = peer_info
        return PeerAuth(_proof(self._secret, _DIALER, self._hello, message))


class Responder:
    """The side that was dialled; `nonce` must be new for each connection."""

    def __init__(self, own: PeerInfo, group: str, secret_key: bytes, nonce: str) -> None:
        self.peer_info: PeerInfo | None = None
        self._own = own
        self._group = group
        self._secret = secret_key
        self._nonce = nonce
        self._expected: tuple[PeerInfo, str] | None = None

    def first_message(self) -> Message | None:
        """Return None: the initiator speaks first."""
        return None

    def receive(self, message: Message) -> Message | None:
        """Answer the hello with a challenge, then verify the proof."""
        match message, self._expected:
            case PeerHello(), None:
                return self._challenge(message)
            case PeerAuth(proof=proof), (info, expected) if self.peer_info is None:
                _check(proof, expected)
                self.peer_info = info
                return None
        raise _unexpected(message)

    def _challenge(self, hello: PeerHello) -> Challenge:
        if hello.version != VERSION:
            detail = f"this peer speaks version {VERSION}, not {hello.version}"
            raise HandshakeError("unsupported", detail, f"it speaks version {hello.version}")
        if hello.group != self._group:
            raise HandshakeError(
                "unauthorized", "this peer is in another group", "it is in another group"
            )
        info, own = _identify(self._own, hello), self._own
        bare = Challenge(own.id, own.run, own.port, own.digest, self._nonce, "")
        self._expected = info, _proof(self._secret, _DIALER, hello, bare)
        proof = _proof(self._secret, _LISTENER, hello, bare)
        return Challenge(own.id, own.run, own.port, own.digest, self._nonce, proof)


def _identify(own: PeerInfo, other: PeerHello | Challenge) -> PeerInfo:
    if other.run == own.run:
        raise HandshakeError("name_taken", "you dialled yourself", "it is this peer itself")
    if other.id == own.id:
        detail = f"{own.id} is the id of this peer; choose another with --id"
        raise HandshakeError("name_taken", detail, "it has the same id; choose another with --id")
    try:
        check_id(other.id)
    except ValueError as error:
        raise HandshakeError("bad_field", str(error), str(error)) from None
    return PeerInfo(other.id, other.run, other.port, other.digest)


def _proof(secret_key: bytes, role: str, hello: PeerHello, challenge: Challenge) -> str:
    signed = [role, *msgspec.structs.astuple(hello), *msgspec.structs.astuple(challenge)[:-1]]
    return hmac.new(secret_key, msgspec.json.encode(signed), "sha256").hexdigest()


def _check(proof: str, expected: str) -> None:
    if not hmac.compare_digest(proof.encode(), expected.encode()):
        raise HandshakeError(
            "unauthorized",
            "your --key or group secret differs from that of this group",
            "its --key or group secret differs from ours",
        )


def _unexpected(message: Message) -> HandshakeError:
    if isinstance(message, Error):
        return HandshakeError("unauthorized", "closing", f"it refused: {message.detail}")
    detail = f"{message.__struct_config__.tag} is unexpected at this point of the handshake"
    return HandshakeError("bad_field", detail, f"it sent an unexpected message: {detail}")
