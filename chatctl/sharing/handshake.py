"""How two peers make sure of each other; no sockets.

Three messages: who dials knocks, who listens answers with a proof, who dials proves itself, too. A
proof is the HMAC-SHA256 (RFC 2104), keyed with the secret of the group, of all that both said and
of the role of who made it, so that it serves neither twice nor for the other side. Both manifests'
digests are among what is proven: who sits between two peers cannot pass off other files as theirs.
"""

import hashlib
import hmac
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from common.exchange import check_id
from common.messages.base import Error, Message, Reason
from common.messages.introduction import VERSION, Challenge, PeerAuth, PeerHello

_DIALER: Final = "dialer"
_LISTENER: Final = "listener"


class Card(Struct, frozen=True):
    """Who a peer is: see `common.messages.introduction.PeerHello`."""

    id: str
    run: str
    port: int
    digest: str


class HandshakeError(Exception):
    """The other side is not to be dealt with; it is told `error`, and the text is for us."""

    def __init__(self, reason: Reason, detail: str, text: str) -> None:
        super().__init__(text)
        self.error = Error(reason, detail)


class Handshake(Protocol):
    """One side of an introduction."""

    peer: Card | None
    """The other side, once it has proven itself."""

    def begin(self) -> Message | None:
        """Return what to send before anything is heard."""

    def take(self, message: Message) -> Message | None:
        """Return what to send in answer; raises HandshakeError."""


def stretch(key: str, group: str) -> bytes:
    """Return what a `key` that people chose comes to, 32 bytes; of no key, nothing.

    Whoever is sent a proof can try guessed keys on it at leisure; scrypt (RFC 7914, N = 2^14,
    r = 8, p = 1) makes each guess cost 16 MiB and some 50 ms.
    """
    if not key:
        return b""
    salt = f"chatd peers {group}".encode()
    return hashlib.scrypt(key.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)


def secret(group_secret: str, stretched: bytes) -> bytes:
    """Return what the peers of a group have in common, 32 bytes; either part may be empty.

    HKDF-Extract (RFC 5869, 2.2) of the stretched key, with the server's `group_secret` as salt.
    """
    return hmac.digest(group_secret.encode(), stretched, "sha256")


class Dialing:
    """The side that knocks; `nonce` is to be new each time."""

    def __init__(self, own: Card, group: str, shared: bytes, nonce: str) -> None:
        self.peer: Card | None = None
        self._own = own
        self._knock = PeerHello(VERSION, group, own.id, own.run, own.port, own.digest, nonce)
        self._secret = shared

    def begin(self) -> Message | None:
        """Return the knock."""
        return self._knock

    def take(self, message: Message) -> Message | None:
        """Check the challenge, and return our own proof."""
        if not isinstance(message, Challenge) or self.peer is not None:
            raise _out_of_place(message)
        peer = _meet(self._own, message)
        _check(message.proof, _proof(self._secret, _LISTENER, self._knock, message))
        self.peer = peer
        return PeerAuth(_proof(self._secret, _DIALER, self._knock, message))


class Listening:
    """The side that is knocked at; `nonce` is to be new each time."""

    def __init__(self, own: Card, group: str, shared: bytes, nonce: str) -> None:
        self.peer: Card | None = None
        self._own = own
        self._group = group
        self._secret = shared
        self._nonce = nonce
        self._expected: tuple[Card, str] | None = None

    def begin(self) -> Message | None:
        """Say nothing: who dials speaks first."""
        return None

    def take(self, message: Message) -> Message | None:
        """Answer the knock, then check the proof of who knocked."""
        match message, self._expected:
            case PeerHello(), None:
                return self._challenge(message)
            case PeerAuth(proof=proof), (card, expected) if self.peer is None:
                _check(proof, expected)
                self.peer = card
                return None
        raise _out_of_place(message)

    def _challenge(self, knock: PeerHello) -> Challenge:
        if knock.version != VERSION:
            detail = f"this peer speaks version {VERSION}, not {knock.version}"
            raise HandshakeError("unsupported", detail, f"it speaks version {knock.version}")
        if knock.group != self._group:
            raise HandshakeError("unauthorized", "this is another group", "it is in another group")
        card, own = _meet(self._own, knock), self._own
        bare = Challenge(own.id, own.run, own.port, own.digest, self._nonce, "")
        self._expected = card, _proof(self._secret, _DIALER, knock, bare)
        proof = _proof(self._secret, _LISTENER, knock, bare)
        return Challenge(own.id, own.run, own.port, own.digest, self._nonce, proof)


def _meet(own: Card, other: PeerHello | Challenge) -> Card:
    if other.run == own.run:
        raise HandshakeError("name_taken", "this is yourself", "it is this peer itself")
    if other.id == own.id:
        detail = f"{own.id} is the id of this peer; choose another with --id"
        raise HandshakeError("name_taken", detail, "it has the same id; choose another with --id")
    try:
        check_id(other.id)
    except ValueError as fault:
        raise HandshakeError("bad_field", str(fault), str(fault)) from None
    return Card(other.id, other.run, other.port, other.digest)


def _proof(shared: bytes, role: str, knock: PeerHello, challenge: Challenge) -> str:
    said = [role, *msgspec.structs.astuple(knock), *msgspec.structs.astuple(challenge)[:-1]]
    return hmac.new(shared, msgspec.json.encode(said), "sha256").hexdigest()


def _check(proof: str, expected: str) -> None:
    if not hmac.compare_digest(proof.encode(), expected.encode()):
        detail = "the ticket or the key is not the one of this group; see --key"
        raise HandshakeError("unauthorized", detail, "its ticket or key is another; see --key")


def _out_of_place(message: Message) -> HandshakeError:
    if isinstance(message, Error):
        return HandshakeError("unauthorized", "as you wish", f"it refused: {message.detail}")
    detail = f"{message.__struct_config__.tag} is not what comes now in an introduction"
    return HandshakeError("bad_field", detail, f"it sent what does not come now: {detail}")
