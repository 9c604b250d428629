"""Values as people write them: numbers, durations, sizes and addresses.

Examples: ``12``, ``0.5``, ``1h30m``, ``64KiB``, ``1:5``, ``localhost:5555``. ``int()`` and
``float()`` would accept much that nobody means: ``1_000``, ``nan``, white space, other scripts.
"""

import re
from typing import Final, NamedTuple, Self

HOST: Final = "127.0.0.1"
PORT: Final = 5555

_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Final = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
_TERM: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(us|ms|s|m|h|d)")
_DURATION: Final = re.compile(rf"(?:{_TERM.pattern})+")
_SIZE: Final = re.compile(r"([0-9]{1,15})(?: *([kMG]?B|[KMG]iB))?")
_WHOLE: Final = re.compile(r"-?[0-9]{1,20}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")
_ADDRESS: Final = re.compile(
    r"(?:\[(?P<bracketed>[^\s\[\]]+)\]|(?P<host>[^\s:\[\]]*))(?::(?P<port>[0-9]{1,5}))?"
)


def parse_whole(text: str) -> int:
    """Return a whole number of at most 20 digits: ``12``, ``0``, ``-3``. Raises ValueError."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number (example: 5555)")
    return int(text)


def parse_number(text: str) -> float:
    """Return a finite number: ``12``, ``0.5``, ``-3``. Raises ValueError."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a number (examples: 12, 0.5)")
    return float(text)


def parse_duration(text: str) -> float:
    """Return a duration in seconds (s): ``10ms``, ``4s``, ``1h30m``, ``7d``, ``0``.

    Raises ValueError when a unit is missing or unknown; a bare number would leave people guessing.
    """
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration (examples: 10ms, 4s, 5m, 1h, 7d, 0)")
    return sum(float(term[1]) * _SECONDS[term[2]] for term in _TERM.finditer(text))


def format_duration(seconds: float) -> str:
    """Return `seconds` (s, >= 0) for people, in the largest unit that keeps it at least 1."""
    for unit in ("d", "h", "m", "s", "ms"):
        if seconds >= _SECONDS[unit]:
            return f"{seconds / _SECONDS[unit]:.4g}{unit}"
    return f"{seconds / _SECONDS['us']:.4g}us" if seconds else "0"


def parse_size(text: str) -> int:
    """Return a size in bytes: ``65536``, ``64KiB``, ``8MiB``, ``1GB``.

    Raises ValueError unless it is a whole number of a known unit.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a size (examples: 65536, 64KiB, 8MiB, 1GiB)")
    return int(match[1]) * _BYTES[match[2] or "B"]


def parse_range(text: str) -> tuple[float, float]:
    """Return the two numbers of a range of seconds (s), ``MIN:MAX``: ``1:5``, ``0:0``, ``0.5:2``.

    Raises ValueError unless 0 <= MIN <= MAX <= 3600.
    """
    try:
        low, high = map(parse_number, text.split(":"))
    except ValueError:
        low = high = -1.0
    if not 0 <= low <= high <= 3600:
        raise ValueError(f"{text!r} is not a range of seconds from 0 to 3600 (example: 1:5)")
    return low, high


class Address(NamedTuple):
    """A host name or IP address, and a TCP port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``HOST:PORT``, ``[::1]:5555``, ``HOST`` or ``:PORT``. Raises ValueError.

        The defaults are 127.0.0.1 and 5555.
        """
        is_bare_ipv6 = text.count(":") > 1 and "[" not in text
        match = _ADDRESS.fullmatch(f"[{text}]" if is_bare_ipv6 else text)
        port = int(match["port"] or PORT) if match else 0
        if not match or not text or not 1 <= port <= 65535:
            raise ValueError(
                f"{text!r} is not an address: write HOST:PORT, [::1]:5555, HOST or :PORT"
            )
        return cls(match["bracketed"] or match["host"] or HOST, port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
