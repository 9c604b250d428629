"""Programs and libraries beyond the runtime that some tests need."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Final, NoReturn

import pytest
from packaging.requirements import Requirement

REQUIRE_TOOLS = "CHATD_TEST_REQUIRE_TOOLS"
"""When this environment variable is set, as in CI, what is missing fails the tests that need it."""


PACKAGE_OF: Final = {
    "nc": "netcat-openbsd",
    "tmux": "tmux",
    "ip": "iproute2",
    "cc": "gcc libc6-dev",
}
"""The Debian packages of the programs that `require` is asked for."""

_NOT_INSTALLED: Final = re.compile(r"Skipped: (\S+) is not installed")


def require(program: str) -> str:
    """Return the path of `program`; without it the calling test is skipped, or fails in CI.

    >>> netcat = require("nc")
    """
    path = shutil.which(program)
    if path is None:
        _miss(f"{program} is not installed")
    return path


def require_library(requirement: str) -> None:
    """Return if a distribution like ``setuptools >= 77`` is there; otherwise as `require`."""
    wanted = Requirement(requirement)
    try:
        found = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        _miss(f"{wanted} is not installed")
    if found not in wanted.specifier:
        _miss(f"{wanted} is needed, and {found} installed")


def _miss(reason: str) -> NoReturn:
    if os.environ.get(REQUIRE_TOOLS):
        pytest.fail(f"{reason}, and {REQUIRE_TOOLS} is set", pytrace=False)
    pytest.skip(reason)


def missing_programs(skipped: Iterable[pytest.TestReport]) -> Iterator[str]:
    """Yield the lines that tell which tests were `skipped` without a program, and what to install.

    None where nothing was skipped for that.
    """
    tests: dict[str, list[str]] = {}
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if found := _NOT_INSTALLED.match(reason):
            tests.setdefault(found[1], []).append(report.nodeid)
    for program, skipped_tests in sorted(tests.items()):
        yield f"{program} is not installed; without it these tests were skipped:"
        yield from (f"    {test}" for test in sorted(skipped_tests))
    if tests:
        packages = " ".join(PACKAGE_OF.get(program, program) for program in sorted(tests))
        yield f"To run them too: apt-get install {packages}"


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
    why = ("tests/support/programs.py", 1, f"Skipped: {reason}")
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
