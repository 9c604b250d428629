from chatctl.sharing.thinning import GATHER, LONGEST, SHORTEST, Thinning

PIECE = 64 * 2**10


def pauses(thinning: Thinning, rate: float, pieces: int, begin: float = 0.0) -> list[float]:
    """Read pieces that come at `rate` (B/s) as soon as one may, each ms at most."""
    paused = [0.0]
    now, left, came = begin, PIECE, 0.0
    while pieces:
        passed = max(0.001, paused[-1])
        now, came = now + passed, came + rate * passed
        size = min(round(came), left)
        came -= size
        left -= size
        paused.append(thinning.pause(size, left, now))
        if not left:
            pieces, left = pieces - 1, PIECE
    return paused


def test_on_a_slow_link_bytes_gather_for_as_long_as_may_be() -> None:
    paused = pauses(Thinning(), 200_000.0, pieces=5)
    assert max(paused) == LONGEST
    assert paused.count(LONGEST) > 5 * PIECE / 200_000.0 / LONGEST / 2


def test_on_a_faster_link_a_certain_number_gathers() -> None:
    rate = 2e6
    thinning = Thinning()
    pauses(thinning, rate, pieces=2)
    paused = pauses(thinning, rate, pieces=20, begin=10.0)
    assert 0.8 * GATHER / rate < max(paused) < 1.2 * GATHER / rate
    assert len(paused) < 1.5 * 20 * -(-PIECE // GATHER) + 20


def test_a_fast_link_is_read_at_once() -> None:
    assert set(pauses(Thinning(), 2 * GATHER / SHORTEST, pieces=50)) == {0.0}


def test_between_pieces_nothing_waits() -> None:
    thinning = Thinning()
    pauses(thinning, 200_000.0, pieces=5)
    assert thinning.pause(100, 0, 60.0) == 0.0


def test_the_end_of_a_piece_is_not_waited_for_longer_than_it_takes() -> None:
    thinning = Thinning()
    pauses(thinning, 200_000.0, pieces=5)
    assert thinning.pause(100, 1_000, 60.0) <= 1.5 * 1_000 / 200_000.0


def test_how_long_a_link_was_idle_says_nothing_of_its_rate() -> None:
    thinning = Thinning()
    pauses(thinning, 2e6, pieces=5)
    paused = pauses(thinning, 2e6, pieces=5, begin=60.0)
    assert max(paused) < 2 * GATHER / 2e6
