"""The words of ``chatctl chat``."""

import pytest

from chatctl.__main__ import main


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["localhost", "port", "ann"], "'port' is not a port: write chat HOST PORT NAME"),
        (["localhost", "0", "ann"], "'0' is not a port"),
        (["localhost", "65536", "ann"], "'65536' is not a port"),
        (["localhost", "٣٣", "ann"], "'٣٣' is not a port"),
        (["localhost", "5555"], "write chat NAME or chat HOST PORT NAME"),
        (["localhost", "5555", "ann", "b"], "write chat NAME or chat HOST PORT NAME"),
    ],
)
def test_words_that_make_no_sense_are_one_line_with_code_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", *words]) == 2
    assert capsys.readouterr().err.startswith(f"chatctl: {complaint}")
