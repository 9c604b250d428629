"""How long to wait before the next try: exponential backoff with full jitter."""

import random
from typing import Final

BASE: Final = 0.25
"""Longest first wait, in s."""

CAP: Final = 15.0
"""Longest wait of all, in s."""


class Backoff:
    """Draws each wait from [0, min(cap, base * 2**attempt)], in s.

    This is "full jitter": of the schemes that Marc Brooker compares in "Exponential Backoff And
    Jitter" (AWS Architecture Blog, 2015) it needs the fewest calls to bring many clients back to a
    server that all of them lost at the same moment. `rng` is for tests that want to know the draw.
    """

    def __init__(
        self, base: float = BASE, cap: float = CAP, rng: random.Random | None = None
    ) -> None:
        self._base = base
        self._cap = cap
        self._rng = rng or random.Random()  # noqa: S311 - it spreads load, it keeps no secret
        self.attempts = 0
        """Waits drawn since the last reset."""

    def next_delay(self) -> float:
        """Return how long to wait now, in s."""
        # Past 2**64 any base has met the cap; a float overflows at 2**1024.
        ceiling = min(self._cap, self._base * 2.0 ** min(self.attempts, 64))
        self.attempts += 1
        return self._rng.uniform(0.0, ceiling)

    def reset(self) -> None:
        """Start over: the server answered."""
        self.attempts = 0
