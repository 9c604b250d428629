import shutil

import pytest

from tests.tools import REQUIRE_TOOLS, require

ABSENT = "a-program-that-nobody-has"


def test_an_installed_program_is_given_by_its_path() -> None:
    assert require("sh") == shutil.which("sh")


def test_a_missing_program_skips_the_test_on_a_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRE_TOOLS, raising=False)
    with pytest.raises(pytest.skip.Exception, match=ABSENT):
        require(ABSENT)


def test_a_missing_program_fails_the_test_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE_TOOLS, "1")
    with pytest.raises(pytest.fail.Exception, match=ABSENT):
        require(ABSENT)
