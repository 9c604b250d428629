"""How long things took, counted in buckets: a million of them take no more room than ten."""

from collections.abc import Sequence
from typing import Final

BUCKETS: Final = 2_048
_FINE: Final = 5
_IN_A_POWER: Final = 1 << _FINE

PLACES: Final = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999}
"""The percentiles that are told, and the shares they stand for."""


def bucket(ns: int) -> int:
    """Return where `ns` is counted: thirty-two buckets for each power of two, 3 % wide each."""
    if ns < _IN_A_POWER:
        return max(0, ns)
    power = ns.bit_length() - 1
    return (power - _FINE + 1) * _IN_A_POWER + (ns >> (power - _FINE)) % _IN_A_POWER


def middle(number: int) -> float:
    """Return what (ns) a thing counted in bucket `number` took, give or take 2 %."""
    if number < 2 * _IN_A_POWER:
        return float(number)
    power, step = divmod(number, _IN_A_POWER)
    width = 1 << (power - 1)
    return (_IN_A_POWER + step) * width + width / 2


def percentiles(counts: Sequence[int]) -> dict[str, float]:
    """Return `PLACES` and the worst of what was counted, in us; nothing if that is nothing."""
    total = sum(counts)
    if not total:
        return {}
    wanted = {name: share * total for name, share in PLACES.items()} | {"max_us": float(total)}
    found: dict[str, float] = {}
    passed = 0
    for number, count in enumerate(counts):
        passed += count
        for name, place in wanted.items():
            if name not in found and passed >= place:
                found[name] = middle(number) / 1000
    return found
