"""Why a line is no message: the answer to what the decoder would not take."""

from collections.abc import Collection
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from common.messages.base import Error

_MAX_CORRELATION: Final = 64
_MAX_SHOWN: Final = 40


class _Envelope(Struct, gc=False):
    """What can be read of a message whose code is unknown or whose fields are wrong."""

    code: Any = UNSET
    ref: Any = UNSET
    request_id: Any = UNSET


_envelope: Final = msgspec.json.Decoder(_Envelope)
# A wrong type is reported before the syntax behind it; decoding to Raw looks at syntax alone.
_syntax: Final = msgspec.json.Decoder(msgspec.Raw)


def too_long(max_line: int) -> Error:
    """Return the `error` for a line of more than `max_line` bytes."""
    detail = f"a line may have {max_line} bytes; the rest of this one was dropped"
    return Error(reason="line_too_long", detail=detail)


def not_utf8(fault: UnicodeDecodeError) -> Error:
    """Return the `error` for a line whose bytes are not UTF-8."""
    detail = f"byte {fault.start + 1} of the line is not UTF-8; send text as UTF-8"
    return Error(reason="bad_json", detail=detail)


def explain(line: bytes, fault: Exception, codes: Collection[str]) -> Error:
    """Return the `error` for a `line` that a decoder of `codes` refused with `fault`."""
    if isinstance(fault, UnicodeDecodeError):
        return not_utf8(fault)
    try:
        _syntax.decode(line)
        envelope = _envelope.decode(line)
    except msgspec.ValidationError:
        if line.startswith(b"{"):
            return Error(reason="bad_field", detail=_plain(str(fault)))
        detail = 'a message is a JSON object such as {"code":"ping"}; this is another JSON value'
        return Error(reason="not_object", detail=detail)
    except msgspec.DecodeError as syntax:
        return Error(reason="bad_json", detail=f"not JSON: {_plain(str(syntax))}")
    except RecursionError:
        return Error(reason="bad_json", detail="nested too deeply; send a flat object")
    ref, request_id = _short(envelope.ref), _request_id(envelope.request_id)
    if envelope.code in codes:
        detail = f"in {envelope.code}: {_plain(str(fault))}"
        return Error(reason="bad_field", detail=detail, ref=ref, request_id=request_id)
    detail = f"{_unknown(envelope.code)}; known are {', '.join(sorted(codes))}"
    return Error(reason="unknown_code", detail=detail, ref=ref, request_id=request_id)


def _unknown(code: object) -> str:
    if code is UNSET:
        return "the object has no code"
    if not isinstance(code, str):
        return "the code is not a string"
    return f"the code {_shorten(code)!r} is not known"


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"


def _plain(text: str) -> str:
    """Turn msgspec's wording into this project's: no back-quotes, no type names of Python."""
    return text.removeprefix("JSON is malformed: ").replace("`", "").replace("$.", "field ")


def _short(value: object) -> str | UnsetType:
    return value if isinstance(value, str) and len(value) <= _MAX_CORRELATION else UNSET


def _request_id(value: object) -> str | int | UnsetType:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return _short(value)
