"""The message registry: decodes a JSON object to the message that its code names, or to an error.

A protocol error answers what is no message. It says what was wrong and what was expected.
"""

import functools
import operator
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from common import messages
from common.messages import ClientMessage, Error, ServerMessage
from common.messages.basic import Ref
from common.messages.request import BareRequest, BareResponse, RequestId

_DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Envelope(Struct, gc=False):
    """The fields that identify an object, whatever is wrong with its other fields."""

    code: Raw | UnsetType = UNSET
    ref: Raw | UnsetType = UNSET
    request_id: Raw | UnsetType = UNSET


_envelope: Final = msgspec.json.Decoder(_Envelope)
_code: Final = msgspec.json.Decoder(str)
_ref: Final[msgspec.json.Decoder[str]] = msgspec.json.Decoder(Ref)
_request_id: Final[msgspec.json.Decoder[str | int]] = msgspec.json.Decoder(RequestId)
# A wrong type is reported before the syntax behind it; decoding to Raw looks at syntax alone.
_syntax: Final = msgspec.json.Decoder(Raw)

_MAX_SHOWN: Final = 40
"""Characters of an unknown code that an error repeats."""

M = TypeVar("M", bound=Struct)
T = TypeVar("T")


class MessageRegistry(Generic[M]):
    """Decodes messages of the given `kinds`, which their code tells apart.

    `untagged` is one more kind, which has no code. A registry has no state: one serves all
    connections.
    """

    def __init__(self, kinds: Sequence[type[M]], untagged: type[M] | None = None) -> None:
        self.kinds = (*kinds, *([] if untagged is None else [untagged]))
        """Every kind that it decodes."""
        union = functools.reduce(operator.or_, kinds)
        tagged: msgspec.json.Decoder[M] = msgspec.json.Decoder(union)
        self._decoders = (tagged,) if untagged is None else (tagged, msgspec.json.Decoder(untagged))
        self._codes = frozenset(str(kind.__struct_config__.tag) for kind in kinds)
        self._known = ", ".join(sorted(self._codes))

    def decode(self, piece: bytes) -> M | None:
        """Return the message in `piece`, or None; `explain` then says why."""
        if not (piece.isascii() or _is_utf8(piece)):
            return None
        for decoder in self._decoders:
            try:
                return decoder.decode(piece)
            except _DECODE_ERRORS:
                continue
        return None

    def decode_lines(self, block: bytes) -> list[M] | None:
        """Return the messages of `block`, or None unless each of its lines is one message."""
        if not (block.isascii() or _is_utf8(block)):
            return None
        lines = block.split(b"\n")
        lines.pop()  # the empty part after the last newline
        for decoder in self._decoders:
            try:
                return [*map(decoder.decode, lines)]
            except _DECODE_ERRORS:
                continue
        return None

    def explain(self, piece: bytes) -> Error:
        """Return the error that answers `piece`, for which `decode` returned None."""
        try:
            piece.decode()
            _syntax.decode(piece)
        except UnicodeDecodeError as error:
            return not_utf8(error)
        except msgspec.DecodeError as error:
            return bad_json(error)
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
        except _DECODE_ERRORS as error:
            return bad_field(code, error, ref, request_id)
        raise AssertionError("explain is only for what decode rejects")


FROM_CLIENT: Final[MessageRegistry[ClientMessage]] = MessageRegistry(
    messages.FROM_CLIENT, BareRequest
)
"""The messages that the daemon understands."""

FROM_SERVER: Final[MessageRegistry[ServerMessage]] = MessageRegistry(
    messages.FROM_SERVER, BareResponse
)
"""The messages that a client understands."""


def too_long(max_line: int) -> Error:
    """Answer a line of more than `max_line` bytes."""
    detail = f"the line is too long: {max_line} bytes are allowed; the rest of it was dropped"
    return Error("line_too_long", detail)


def not_utf8(error: UnicodeDecodeError) -> Error:
    """Answer a line whose bytes are not UTF-8."""
    return Error("bad_json", f"byte {error.start + 1} of the line is not UTF-8; send text as UTF-8")


def bad_json(error: Exception) -> Error:
    """Answer a line that is not JSON."""
    return Error("bad_json", f"not JSON: {_plain(error)}")


def too_deep() -> Error:
    """Answer JSON of so many levels that parsing it could exhaust the stack."""
    return Error("bad_json", "nested too deeply; send a flat object")


def not_object() -> Error:
    """Answer JSON that is no object."""
    detail = 'a message must be a JSON object such as {"code":"ping"}'
    return Error("not_object", detail)


def unknown_code(
    code: str | UnsetType,
    known: str,
    ref: str | UnsetType,
    request_id: str | int | UnsetType,
) -> Error:
    """Answer an object whose code is missing, is no string, or is not among the `known` ones."""
    problem = "the object has no code that is a string" if code is UNSET else _unknown(code)
    detail = f"{problem}; known codes: {known}"
    return Error("unknown_code", detail, ref=ref, request_id=request_id)


def bad_field(
    code: str | UnsetType,
    error: Exception,
    ref: str | UnsetType,
    request_id: str | int | UnsetType,
) -> Error:
    """Answer a message with a missing or invalid field."""
    detail = _plain(error) if code is UNSET else f"in {code}: {_plain(error)}"
    return Error("bad_field", detail, ref=ref, request_id=request_id)


def _is_utf8(piece: bytes) -> bool:
    # msgspec does not check the strings that it skips.
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


def _unknown(code: str) -> str:
    shown = code if len(code) <= _MAX_SHOWN else code[:_MAX_SHOWN] + "…"
    return f"unknown code {shown!r}"


def _plain(error: Exception) -> str:
    """Return msgspec's wording without its markup."""
    return str(error).removeprefix("JSON is malformed: ").replace("`", "").replace("$.", "field ")
