"""System programs that some tests drive."""

import os
import shutil

import pytest

REQUIRE_TOOLS = "CHATD_TEST_REQUIRE_TOOLS"
"""When this environment variable is set, as in CI, a missing program fails its tests."""


def require(program: str) -> str:
    """Return the path of `program`; without it the calling test is skipped, or fails in CI.

    >>> netcat = require("nc")
    """
    path = shutil.which(program)
    if path is not None:
        return path
    reason = f"{program} is not installed"
    if os.environ.get(REQUIRE_TOOLS):
        pytest.fail(f"{reason}, and {REQUIRE_TOOLS} is set", pytrace=False)
    pytest.skip(reason)
