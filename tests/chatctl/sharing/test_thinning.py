from chatctl.sharing.thinning import MAX_DELAY, MIN_DELAY, MIN_READ, ReadCoalescer

PIECE = 64 * 2**10


def delays(coalescer: ReadCoalescer, rate: float, pieces: int, begin: float = 0.0) -> list[float]:
    """Read pieces that come at `rate` (B/s) as soon as one may, each ms at most."""
    paused = [0.0]
    now, left, came = begin, PIECE, 0.0
    while pieces:
        passed = max(0.001, paused[-1])
        now, came = now + passed, came + rate * passed
        size = min(round(came), left)
        came -= size
        left -= size
        paused.append(coalescer.delay(size, left, now))
        if not left:
            pieces, left = pieces - 1, PIECE
    return paused


def test_on_a_slow_connection_bytes_gather_for_as_long_as_may_be() -> None:
    paused = delays(ReadCoalescer(), 200_000.0, pieces=5)
    assert max(paused) == MAX_DELAY
    assert paused.count(MAX_DELAY) > 5 * PIECE / 200_000.0 / MAX_DELAY / 2


def test_on_a_faster_connection_a_certain_number_gathers() -> None:
    rate = 2e6
    coalescer = ReadCoalescer()
    delays(coalescer, rate, pieces=2)
    paused = delays(coalescer, rate, pieces=20, begin=10.0)
    assert 0.8 * MIN_READ / rate < max(paused) < 1.2 * MIN_READ / rate
    assert len(paused) < 1.5 * 20 * -(-PIECE // MIN_READ) + 20


def test_a_fast_connection_is_read_at_once() -> None:
    assert set(delays(ReadCoalescer(), 2 * MIN_READ / MIN_DELAY, pieces=50)) == {0.0}


def test_between_pieces_nothing_waits() -> None:
    coalescer = ReadCoalescer()
    delays(coalescer, 200_000.0, pieces=5)
    assert coalescer.delay(100, 0, 60.0) == 0.0


def test_the_end_of_a_piece_is_not_waited_for_longer_than_it_takes() -> None:
    coalescer = ReadCoalescer()
    delays(coalescer, 200_000.0, pieces=5)
    assert coalescer.delay(100, 1_000, 60.0) <= 1.5 * 1_000 / 200_000.0


def test_how_long_a_connection_was_idle_says_nothing_of_its_rate() -> None:
    coalescer = ReadCoalescer()
    delays(coalescer, 2e6, pieces=5)
    paused = delays(coalescer, 2e6, pieces=5, begin=60.0)
    assert max(paused) < 2 * MIN_READ / 2e6
