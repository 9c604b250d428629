"""Opening a connection, and saying in plain words why one could not be opened or is gone."""

import asyncio
import os
import re
from collections.abc import Awaitable
from typing import Final, TypeVar

from chatctl.address import Address
from chatctl.errors import CannotConnectError

_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")

T = TypeVar("T")


async def connected(connecting: Awaitable[T], address: Address, within: float) -> T:
    """Return what `connecting` opens at `address` within `within` s; raises CannotConnectError."""
    try:
        async with asyncio.timeout(within):
            return await connecting
    except TimeoutError:
        problem = f"nothing answered within {within:g} s"
    except OSError as failure:
        problem = reason(failure)
    raise CannotConnectError(f"cannot connect to {address}: {problem}")


def reason(failure: OSError) -> str:
    """Say what went wrong without what asyncio adds: numbers, addresses, function names."""
    if failure.errno is not None and failure.errno > 0:
        return os.strerror(failure.errno).lower()
    # Where a name has several addresses, the errors of all of them come as one text.
    numbers = {int(number) for number in _ERRNO.findall(str(failure))}
    reasons = " or ".join(os.strerror(number).lower() for number in sorted(numbers))
    return reasons or (failure.strerror or str(failure)).lower()
