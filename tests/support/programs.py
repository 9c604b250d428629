"""Programs and libraries that some tests need beyond those of the runtime."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Final, NoReturn

import pytest
from packaging.requirements import Requirement

REQUIRE_TOOLS = "CHATD_TEST_REQUIRE_TOOLS"
"""If this environment variable is set, as in CI, a missing program fails the tests that need it."""


PACKAGE_OF: Final = {
    "nc": "netcat-openbsd",
    "tmux": "tmux",
    "ip": "iproute2",
    "cc": "gcc libc6-dev",
}
"""The Debian packages of the programs that `require` is asked for."""

_NOT_INSTALLED: Final = re.compile(r"Skipped: (\S+) is not installed")


def require(program: str) -> str:
    """Return the path of `program`; if it is missing, skip the calling test, or fail it in CI.

    >>> netcat = require("nc")
    """
    path = shutil.which(program)
    if path is None:
        _miss(f"{program} is not installed")
    return path


def require_library(requirement: str) -> None:
    """Return if a distribution like ``setuptools >= 77`` is installed; otherwise as `require`."""
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
    """Yield lines that list the tests `skipped` for a missing program, and what to install."""
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
