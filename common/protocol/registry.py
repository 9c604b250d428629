"""Which messages a side understands: from the bytes of one object to a message, or to an error.

The errors that answer what is no message: what was wrong, what was expected, what to do.
"""

from collections.abc import Sequence
from typing import Any, Final, Generic, TypeVar, Union

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from common import messages
from common.messages import ClientMessage, Error, ServerMessage
from common.messages.basic import Ref
from common.messages.request import BareRequest, BareResponse, RequestId

_DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Envelope(Struct, gc=False):
    """What can be read of any object, whatever is wrong with its fields."""

    code: Raw | UnsetType = UNSET
    ref: Raw | UnsetType = UNSET
    request_id: Raw | UnsetType = UNSET


_envelope: Final = msgspec.json.Decoder(_Envelope)
_code: Final = msgspec.json.Decoder(str)
_ref: Final[msgspec.json.Decoder[str]] = msgspec.json.Decoder(Ref)
_request_id: Final[msgspec.json.Decoder[str | int]] = msgspec.json.Decoder(RequestId)
# A wrong type is reported before the syntax behind it; decoding to Raw looks at syntax alone.
_syntax: Final = msgspec.json.Decoder(Raw)

M = TypeVar("M", bound=Struct)
T = TypeVar("T")


class MessageRegistry(Generic[M]):
    """Decodes messages of the given `kinds`, told apart by their code.

    `untagged` is one kind more, which may come without a code. A registry has no state: one serves
    all connections.
    """

    def __init__(self, kinds: Sequence[type[M]], untagged: type[M] | None = None) -> None:
        self.kinds = (*kinds, *([] if untagged is None else [untagged]))
        """Every kind it decodes."""
        union: Any = Union[tuple(kinds)]  # noqa: UP007 - the kinds are known only at run time
        tagged: msgspec.json.Decoder[M] = msgspec.json.Decoder(union)
        self._decoders = (tagged,) if untagged is None else (tagged, msgspec.json.Decoder(untagged))
        self._codes = frozenset(str(kind.__struct_config__.tag) for kind in kinds)
        self._known = ", ".join(sorted(self._codes))

    def decode(self, piece: bytes) -> M | None:
        """Return the message that `piece` is, or None; `explain` then says why."""
        if not (piece.isascii() or _is_utf8(piece)):
            return None
        for decoder in self._decoders:
            try:
                return decoder.decode(piece)
            except _DECODE_ERRORS:
                continue
        return None

    def decode_lines(self, block: bytes) -> list[M] | None:
        """Return the messages of `block`, or None where not each of its lines is one message."""
        if not (block.isascii() or _is_utf8(block)):
            return None
        lines = block.split(b"\n")
        lines.pop()  # what is behind the last newline: nothing
        for decoder in self._decoders:
            try:
                return [*map(decoder.decode, lines)]
            except _DECODE_ERRORS:
                continue
        return None

    def explain(self, piece: bytes) -> Error:
        """Return the error that answers `piece`, which `decode` did not take."""
        try:
            piece.decode()
            _syntax.decode(piece)
        except UnicodeDecodeError as fault:
            return not_utf8(fault)
        except msgspec.DecodeError as fault:
            return bad_json(fault)
        except RecursionError:
            return too_deep()
        if not piece.startswith(b"{"):
            return not_object()
        envelope = _envelope.decode(piece)
        code, ref = _read(envelope.code, _code), _read(envelope.ref, _ref)
        request_id = _read(envelope.request_id, _request_id)
        is_tagged = envelope.code is not UNSET or envelope.request_id is UNSET
        if is_tagged and code not in self._codes:
            return unknown_code(code, self._known, ref, request_id)
        decoder = self._decoders[0 if is_tagged else -1]
        try:
            decoder.decode(piece)
        except _DECODE_ERRORS as fault:
            return bad_field(code, fault, ref, request_id)
        raise AssertionError("explain is for what decode did not take")


FROM_CLIENT: Final[MessageRegistry[ClientMessage]] = MessageRegistry(
    messages.FROM_CLIENT, BareRequest
)
"""What the daemon understands."""

FROM_SERVER: Final[MessageRegistry[ServerMessage]] = MessageRegistry(
    messages.FROM_SERVER, BareResponse
)
"""What a client understands."""


def _is_utf8(piece: bytes) -> bool:
    # msgspec does not look into the strings that it skips.
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read(raw: Raw | UnsetType, decoder: msgspec.json.Decoder[T]) -> T | UnsetType:
    if raw is UNSET:
        return UNSET
    try:
        return decoder.decode(raw)
    except _DECODE_ERRORS:
        return UNSET


_MAX_SHOWN: Final = 40


def too_long(max_line: int) -> Error:
    """Answer a line of more than `max_line` bytes."""
    detail = f"a line may have {max_line} bytes; the rest of this one was dropped"
    return Error("line_too_long", detail)


def not_utf8(fault: UnicodeDecodeError) -> Error:
    """Answer a line whose bytes are not UTF-8."""
    return Error("bad_json", f"byte {fault.start + 1} of the line is not UTF-8; send text as UTF-8")


def bad_json(fault: Exception) -> Error:
    """Answer a line that is not JSON."""
    return Error("bad_json", f"not JSON: {_plain(fault)}")


def too_deep() -> Error:
    """Answer a line of so many brackets that reading it could exhaust the stack."""
    return Error("bad_json", "nested too deeply; send a flat object")


def not_object() -> Error:
    """Answer JSON that is no object."""
    detail = 'a message is a JSON object such as {"code":"ping"}; this is another JSON value'
    return Error("not_object", detail)


def unknown_code(
    code: str | UnsetType,
    known: str,
    ref: str | UnsetType,
    request_id: str | int | UnsetType,
) -> Error:
    """Answer an object whose code is missing, is no string, or is not among the `known`."""
    shown = "the object has no code that is a string" if code is UNSET else _not_known(code)
    detail = f"{shown}; known are {known}"
    return Error("unknown_code", detail, ref=ref, request_id=request_id)


def bad_field(
    code: str | UnsetType,
    fault: Exception,
    ref: str | UnsetType,
    request_id: str | int | UnsetType,
) -> Error:
    """Answer a message with a field that is missing or of the wrong type."""
    detail = _plain(fault) if code is UNSET else f"in {code}: {_plain(fault)}"
    return Error("bad_field", detail, ref=ref, request_id=request_id)


def _not_known(code: str) -> str:
    shown = code if len(code) <= _MAX_SHOWN else code[:_MAX_SHOWN] + "…"
    return f"the code {shown!r} is not known"


def _plain(fault: Exception) -> str:
    """Turn msgspec's wording into this project's."""
    return str(fault).removeprefix("JSON is malformed: ").replace("`", "").replace("$.", "field ")
