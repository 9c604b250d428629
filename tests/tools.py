"""Programs and libraries beyond the runtime that some tests need."""

import os
import shutil
from importlib import metadata
from typing import NoReturn

import pytest
from packaging.requirements import Requirement

REQUIRE_TOOLS = "CHATD_TEST_REQUIRE_TOOLS"
"""When this environment variable is set, as in CI, what is missing fails the tests that need it."""


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
