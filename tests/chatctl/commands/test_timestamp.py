"""``chatctl timestamp`` before it connects."""

import sys
from pathlib import Path

import pytest

from chatctl.commands.timestamp import load_plot
from chatctl.errors import UsageError


@pytest.mark.parametrize(
    ("name", "problem"),
    [("run.pdf", r"run\.pdf must end in \.png or \.svg"), ("no/run.png", "no directory .*no")],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_measured(
    tmp_path: Path, name: str, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        load_plot(tmp_path / name)


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "chatctl.timestamp.plot", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'chatd\[plot\]'"):
        load_plot(tmp_path / "run.png")
