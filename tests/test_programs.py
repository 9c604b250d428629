import shutil

import pytest

from tests.support.programs import REQUIRE_TOOLS, missing_programs, require, require_library

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


def test_a_library_that_is_new_enough_is_there() -> None:
    require_library("pytest >= 1")


@pytest.mark.parametrize("requirement", [ABSENT, "pytest >= 10000"])
def test_a_library_that_is_missing_or_too_old_fails_the_test_in_ci(
    requirement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REQUIRE_TOOLS, "1")
    with pytest.raises(pytest.fail.Exception, match=requirement.replace(" ", "")):
        require_library(requirement)


def skipped(test: str, reason: str) -> pytest.TestReport:
    why = ("tests/tools.py", 1, f"Skipped: {reason}")
    return pytest.TestReport(test, ("", 1, ""), {}, "skipped", why, "call")


def test_the_end_of_a_run_tells_which_tests_were_skipped_and_what_to_install() -> None:
    reports = [
        skipped("b", "tmux is not installed"),
        skipped("c", "nc is not installed"),
        skipped("a", "nc is not installed"),
        skipped("d", "another reason"),
    ]
    assert list(missing_programs(reports)) == [
        "nc is not installed; without it these tests were skipped:",
        "    a",
        "    c",
        "tmux is not installed; without it these tests were skipped:",
        "    b",
        "To run them too: apt-get install netcat-openbsd tmux",
    ]


def test_a_run_that_skipped_nothing_for_want_of_a_program_tells_nothing() -> None:
    assert list(missing_programs([skipped("d", "another reason")])) == []
