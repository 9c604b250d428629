from chatctl.sharing.thinning import SLOW, SPAN, Thinning


def rounds(thinning: Thinning, rate: float, begin: float, end: float) -> list[float]:
    """Read what comes at `rate` (B/s) as soon as one may, each ms at most; return the pauses."""
    pauses = [0.0]
    read_at = begin
    while read_at < end:
        now = read_at + max(0.001, pauses[-1])
        pauses.append(thinning.pause(round(rate * (now - read_at)), now))
        read_at = now
    return pauses


def test_a_slow_link_is_read_once_a_span() -> None:
    pauses = rounds(Thinning(0.0), SLOW / 4, 0.0, 2.0)

    assert len(pauses) < 1.3 * 2.0 / SPAN
    assert set(pauses[30:]) == {SPAN}


def test_a_fast_link_is_read_at_once() -> None:
    assert set(rounds(Thinning(0.0), SLOW * 4, 0.0, 1.0)) == {0.0}


def test_a_link_that_becomes_fast_pauses_once_more_at_most() -> None:
    thinning = Thinning(0.0)
    rounds(thinning, SLOW / 4, 0.0, 1.0)

    pauses = rounds(thinning, SLOW * 4, 1.0, 2.0)

    assert sum(pauses) <= SPAN


def test_a_link_that_was_idle_is_slow_until_it_has_shown_otherwise() -> None:
    thinning = Thinning(0.0)

    assert thinning.pause(5_000, 60.0) == SPAN
    assert thinning.pause(round(2 * SLOW * SPAN), 60.0 + SPAN) == 0.0
