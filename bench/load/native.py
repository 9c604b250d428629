"""The compiled load: `load.c`, called through ctypes."""

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Final

from bench.errors import WrongAnswerError
from bench.host import CompileError, compile_c
from bench.load.base import Flow, mismatch
from bench.measure import BUCKETS
from bench.sockets import BytePattern

SOURCE: Final = Path(__file__).with_name("load.c")
_FLAGS: Final = ("-shared", "-fPIC")
_WRONG: Final = -1


class _CPattern(ctypes.Structure):
    _fields_ = (
        ("bytes", ctypes.c_char_p),
        ("mask", ctypes.c_char_p),
        ("period", ctypes.c_int64),
        ("length", ctypes.c_int64),
    )


class _CError(ctypes.Structure):
    _fields_ = (
        ("end", ctypes.c_int),
        ("error", ctypes.c_int),
        ("position", ctypes.c_int64),
        ("size", ctypes.c_int32),
        ("received", ctypes.c_ubyte * 200),
    )


class NativeLoad:
    """Drives the flows in C. Raises CompileError where it cannot be made."""

    def __init__(self, flows: list[Flow]) -> None:
        self._library = _library()
        self._expected: list[BytePattern | None] = []
        """What each end receives; it keeps the bytes alive, too."""
        self._flows = flows
        ends = sum(1 + len(flow.receivers) for flow in flows)
        self._load = ctypes.c_void_p(self._library.load_new(ends, len(flows)))
        for number, flow in enumerate(flows):
            self._add(number, flow)

    def __del__(self) -> None:
        if hasattr(self, "_load"):
            self._library.load_free(self._load)

    def run(self, seconds: float) -> int:
        """Load the server for so long; return how many messages receivers have received."""
        received: int = self._library.load_run(self._load, round(seconds * 1e9))
        return self._checked(received)

    def finish(self, seconds: float) -> bool:
        """Send no more and receive what is still to come; False if in so long not all has come."""
        return bool(self._checked(self._library.load_finish(self._load, round(seconds * 1e9))))

    def take_latencies(self) -> list[int]:
        """Return how long messages took since the last time."""
        counts = self._library.load_histogram(self._load)
        taken = list(counts.contents)
        ctypes.memset(counts, 0, ctypes.sizeof(counts.contents))
        return taken

    def _add(self, number: int, flow: Flow) -> None:
        sender = None
        for receiver in flow.receivers:
            index = self._add_end(receiver.fileno(), number, flow.expects, is_receiver=True)
            if receiver is flow.author:
                sender = index
        if sender is None:
            sender = self._add_end(flow.author.fileno(), number, flow.replies, is_receiver=False)
        pace = flow.pace
        self._library.load_add_flow(
            self._load, sender, _c_pattern(flow.sends), len(flow.receivers),
            pace.window, pace.batch, round(pace.interval_s * 1e9),
        )  # fmt: skip

    def _add_end(
        self, fd: int, flow: int, expects: BytePattern | None, *, is_receiver: bool
    ) -> int:
        index: int = self._library.load_add_endpoint(
            self._load, fd, flow, is_receiver, _c_pattern(expects)
        )
        if index < 0:
            raise OSError(-index, os.strerror(-index))
        self._expected.append(expects)
        return index

    def _checked(self, result: int) -> int:
        if result >= 0:
            return result
        error = self._library.load_error(self._load).contents
        if error.error == _WRONG:
            received = bytes(error.received[: error.size])
            raise mismatch(self._expected[error.end], error.position, received)
        why = os.strerror(error.error) if error.error else "the server closed the connection"
        raise WrongAnswerError(f"connection lost: {why}")


def _c_pattern(pattern: BytePattern | None) -> _CPattern:
    return (
        _CPattern(pattern.doubled, pattern.mask, pattern.period, pattern.length)
        if pattern
        else _CPattern()
    )


def native_unavailable_reason() -> str:
    """Return why the load cannot be compiled here; nothing if it can."""
    try:
        compile_c(SOURCE, *_FLAGS)
    except CompileError as error:
        return str(error)
    return ""


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(compile_c(SOURCE, *_FLAGS)), use_errno=True)
    load, number, count = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    functions: dict[str, tuple[object, list[object]]] = {
        "load_new": (load, [count, count]),
        "load_free": (None, [load]),
        "load_add_endpoint": (count, [load, count, count, count, _CPattern]),
        "load_add_flow": (None, [load, count, _CPattern, number, number, number, number]),
        "load_run": (number, [load, number]),
        "load_finish": (count, [load, number]),
        "load_error": (ctypes.POINTER(_CError), [load]),
        "load_histogram": (ctypes.POINTER(number * BUCKETS), [load]),
    }
    for name, (result, arguments) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
