"""The parts of framing that have a rule of their own."""

from hypothesis import given
from hypothesis import strategies as st

from common.protocol.framing import BLANK, Framer, ObjectScanner, exceeds, split_objects
from tests.support.message_strategies import CUTS, LIMIT, STREAMS, cut

LINES = STREAMS.map(lambda stream: stream.replace(b"\n", b""))


@given(lines=st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b""))))
def test_a_block_exceeds_a_limit_when_one_of_its_lines_does(lines: list[bytes]) -> None:
    block = b"".join(line + b"\n" for line in lines)
    for limit in range(1, 14):
        assert exceeds(block, limit) == any(len(line) > limit for line in lines)


@given(line=LINES)
def test_the_objects_on_a_line_and_the_blanks_between_them_are_all_of_it(line: bytes) -> None:
    start = 0
    for piece, end in split_objects(line):
        assert line[start:end].lstrip(BLANK) == piece
        start = end
    assert not line[start:].strip(BLANK)


@given(line=LINES)
def test_only_the_last_piece_of_a_line_may_be_no_object(line: bytes) -> None:
    for piece, _ in list(split_objects(line))[:-1]:
        assert ObjectScanner().find_end(piece) == len(piece)


@given(line=LINES.map(b"{".__add__), sizes=CUTS)
def test_an_object_ends_at_the_same_byte_however_late_its_bytes_come(
    line: bytes, sizes: list[int]
) -> None:
    end = ObjectScanner().find_end(line)
    scanner, buffer = ObjectScanner(), bytearray()
    for chunk in cut(line, sizes):
        buffer += chunk
        found = scanner.find_end(buffer)
        if found >= 0:
            break
    assert found == end


@given(stream=st.binary(), sizes=CUTS)
def test_the_lines_and_the_buffer_are_all_bytes_that_arrived(
    stream: bytes, sizes: list[int]
) -> None:
    framer = Framer(LIMIT)
    blocks = [framer.feed(chunk) for chunk in cut(stream, sizes)]
    assert all(not block or block.endswith(b"\n") for block in blocks)
    rest = framer.take_rest()
    assert b"\n" not in rest
    assert b"".join([*blocks, rest]) == stream
    assert framer.is_empty


def test_after_an_overflow_everything_up_to_the_newline_is_dropped() -> None:
    framer = Framer(4)
    assert framer.feed(b"12345") == b""
    assert framer.overflow()
    assert framer.is_empty
    assert framer.feed(b"6" * 1_000) == b""
    assert not framer.overflow()
    assert framer.feed(b"7\nnext\nlast") == b"next\n"
    assert framer.take_rest() == b"last"
