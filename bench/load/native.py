"""The compiled load: `load.c`, called through ctypes."""

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Final

from bench.compiler import NotCompiled, compiled
from bench.failures import WrongAnswer
from bench.histogram import BUCKETS
from bench.load.lane import Lane, wrong
from bench.tape import Tape

SOURCE: Final = Path(__file__).with_name("load.c")
_FLAGS: Final = ("-shared", "-fPIC")
_WRONG: Final = -1


class _Tape(ctypes.Structure):
    _fields_ = (
        ("bytes", ctypes.c_char_p),
        ("mask", ctypes.c_char_p),
        ("period", ctypes.c_int64),
        ("length", ctypes.c_int64),
    )


class _Fault(ctypes.Structure):
    _fields_ = (
        ("end", ctypes.c_int),
        ("error", ctypes.c_int),
        ("position", ctypes.c_int64),
        ("size", ctypes.c_int32),
        ("heard", ctypes.c_ubyte * 200),
    )


class NativeLoad:
    """Drives the lanes in C. Raises NotCompiled where it cannot be made."""

    def __init__(self, lanes: list[Lane]) -> None:
        self._library = _library()
        self._tapes: list[Tape | None] = []
        """What each end hears; it keeps the bytes alive, too."""
        self._lanes = lanes
        ends = sum(1 + len(lane.listeners) for lane in lanes)
        self._load = ctypes.c_void_p(self._library.load_new(ends, len(lanes)))
        for number, lane in enumerate(lanes):
            self._add(number, lane)

    def __del__(self) -> None:
        if hasattr(self, "_load"):
            self._library.load_free(self._load)

    def run(self, seconds: float) -> int:
        """Load the server for so long; return how many messages listeners have heard."""
        heard: int = self._library.load_run(self._load, round(seconds * 1e9))
        return self._checked(heard)

    def finish(self, seconds: float) -> bool:
        """Say no more and hear what is still to come; False if in so long not all has come."""
        return bool(self._checked(self._library.load_finish(self._load, round(seconds * 1e9))))

    def take_latencies(self) -> list[int]:
        """Return how long messages took since the last time."""
        counts = self._library.load_histogram(self._load)
        taken = list(counts.contents)
        ctypes.memset(counts, 0, ctypes.sizeof(counts.contents))
        return taken

    def _add(self, number: int, lane: Lane) -> None:
        speaker = None
        for listener in lane.listeners:
            index = self._add_end(listener.fileno(), number, lane.hears, is_listener=True)
            if listener is lane.author:
                speaker = index
        if speaker is None:
            speaker = self._add_end(lane.author.fileno(), number, lane.answers, is_listener=False)
        pace = lane.pace
        self._library.load_lane(
            self._load, speaker, _tape(lane.says), len(lane.listeners), pace.window, pace.batch,
            round(pace.interval_s * 1e9),
        )  # fmt: skip

    def _add_end(self, fd: int, lane: int, hears: Tape | None, *, is_listener: bool) -> int:
        index: int = self._library.load_end(self._load, fd, lane, is_listener, _tape(hears))
        if index < 0:
            raise OSError(-index, os.strerror(-index))
        self._tapes.append(hears)
        return index

    def _checked(self, result: int) -> int:
        if result >= 0:
            return result
        fault = self._library.load_fault(self._load).contents
        if fault.error == _WRONG:
            heard = bytes(fault.heard[: fault.size])
            raise wrong(self._tapes[fault.end], fault.position, heard)
        why = os.strerror(fault.error) if fault.error else "the server hung up"
        raise WrongAnswer(f"connection lost: {why}")


def _tape(tape: Tape | None) -> _Tape:
    return _Tape(tape.twice, tape.mask, tape.period, tape.length) if tape else _Tape()


def why_not_native() -> str:
    """Return why the load cannot be compiled here; nothing if it can."""
    try:
        compiled(SOURCE, *_FLAGS)
    except NotCompiled as fault:
        return str(fault)
    return ""


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(compiled(SOURCE, *_FLAGS)), use_errno=True)
    load, number, count = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    functions: dict[str, tuple[object, list[object]]] = {
        "load_new": (load, [count, count]),
        "load_free": (None, [load]),
        "load_end": (count, [load, count, count, count, _Tape]),
        "load_lane": (None, [load, count, _Tape, number, number, number, number]),
        "load_run": (number, [load, number]),
        "load_finish": (count, [load, number]),
        "load_fault": (ctypes.POINTER(_Fault), [load]),
        "load_histogram": (ctypes.POINTER(number * BUCKETS), [load]),
    }
    for name, (result, arguments) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
