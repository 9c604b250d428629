"""The errors that answer what is no message: what was wrong, what was expected, what to do."""

from typing import Final

from msgspec import UNSET, UnsetType

from common.messages.base import Error

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
