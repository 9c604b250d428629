"""How two peers make sure of each other; no sockets.

Three messages: who dials says hello, who listens answers with a proof, who dials proves itself,
too. A proof is the HMAC-SHA256 (RFC 2104), keyed with the secret of the group, of all that both
said and of the role of who made it, so that it serves neither twice nor for the other side. Both
manifests' digests are among what is proven: who sits between two peers cannot pass off other files
as theirs.
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
    """Who a peer is: see `common.messages.peer_wire.PeerHello`."""

    id: str
    run: str
    port: int
    digest: str


class HandshakeError(Exception):
    """The other side is not to be dealt with; it is sent `reply`, and the text is for us."""

    def __init__(self, reason: Reason, detail: str, text: str) -> None:
        super().__init__(text)
        self.reply = Error(reason, detail)


class Handshake(Protocol):
    """One side of an introduction."""

    peer_info: PeerInfo | None
    """The other side, once it has proven itself."""

    def first_message(self) -> Message | None:
        """Return what to send before anything is heard."""

    def receive(self, message: Message) -> Message | None:
        """Return what to send in answer; raises HandshakeError."""


def derive_key(key: str, group: str) -> bytes:
    """Return what a `key` that people chose comes to, 32 bytes; of no key, nothing.

    Whoever is sent a proof can try guessed keys on it at leisure; scrypt (RFC 7914, N = 2^14,
    r = 8, p = 1) makes each guess cost 16 MiB and some 50 ms.
    """
    if not key:
        return b""
    salt = f"chatd peers {group}".encode()
    return hashlib.scrypt(key.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)


def group_key(group_secret: str, derived_key: bytes) -> bytes:
    """Return what the peers of a group have in common, 32 bytes; either part may be empty.

    HKDF-Extract (RFC 5869, 2.2) of the derived key, with the server's `group_secret` as salt.
    """
    return hmac.digest(group_secret.encode(), derived_key, "sha256")


class Initiator:
    """The side that dials; `nonce` is to be new each time."""

    def __init__(self, own: PeerInfo, group: str, secret_key: bytes, nonce: str) -> None:
        self.peer_info: PeerInfo | None = None
        self._own = own
        self._hello = PeerHello(VERSION, group, own.id, own.run, own.port, own.digest, nonce)
        self._secret = secret_key

    def first_message(self) -> Message | None:
        """Return the hello."""
        return self._hello

    def receive(self, message: Message) -> Message | None:
        """Check the challenge, and return our own proof."""
        if not isinstance(message, Challenge) or self.peer_info is not None:
            raise _unexpected(message)
        peer_info = _identify(self._own, message)
        _check(message.proof, _proof(self._secret, _LISTENER, self._hello, message))
        self.peer_info = peer_info
        return PeerAuth(_proof(self._secret, _DIALER, self._hello, message))


class Responder:
    """The side that was dialled; `nonce` is to be new each time."""

    def __init__(self, own: PeerInfo, group: str, secret_key: bytes, nonce: str) -> None:
        self.peer_info: PeerInfo | None = None
        self._own = own
        self._group = group
        self._secret = secret_key
        self._nonce = nonce
        self._expected: tuple[PeerInfo, str] | None = None

    def first_message(self) -> Message | None:
        """Say nothing: who dials speaks first."""
        return None

    def receive(self, message: Message) -> Message | None:
        """Answer the hello, then check the proof of who dialled."""
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
            raise HandshakeError("unauthorized", "this is another group", "it is in another group")
        info, own = _identify(self._own, hello), self._own
        bare = Challenge(own.id, own.run, own.port, own.digest, self._nonce, "")
        self._expected = info, _proof(self._secret, _DIALER, hello, bare)
        proof = _proof(self._secret, _LISTENER, hello, bare)
        return Challenge(own.id, own.run, own.port, own.digest, self._nonce, proof)


def _identify(own: PeerInfo, other: PeerHello | Challenge) -> PeerInfo:
    if other.run == own.run:
        raise HandshakeError("name_taken", "this is yourself", "it is this peer itself")
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
        detail = "the secret or the key is not the one of this group; see --key"
        raise HandshakeError("unauthorized", detail, "its secret or key is another; see --key")


def _unexpected(message: Message) -> HandshakeError:
    if isinstance(message, Error):
        return HandshakeError("unauthorized", "as you wish", f"it refused: {message.detail}")
    detail = f"{message.__struct_config__.tag} is not what comes now in an introduction"
    return HandshakeError("bad_field", detail, f"it sent what does not come now: {detail}")
