"""Opening a connection, and saying in plain words why one could not be opened or is gone."""

import asyncio
import errno
import os
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from chatctl.errors import CannotConnectError, NoSuchHostError
from common.addresses import Address

_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")

T = TypeVar("T")


async def open_connection(
    opening: Awaitable[T],
    transport_of: Callable[[T], asyncio.WriteTransport],
    address: Address,
    within: float,
) -> T:
    """Return what `opening` opens at `address` within `within` s; raises CannotConnectError."""
    try:
        async with asyncio.timeout(within):
            opened = await opening
    except TimeoutError:
        problem = f"nothing answered within {within:g} s"
    except socket.gaierror as error:
        raise NoSuchHostError(
            f"cannot connect to {address}: {reason(error)}; is the name right?"
        ) from None
    except OSError as error:
        problem = reason(error)
    else:
        transport = transport_of(opened)
        if not _is_self_connected(transport):
            return opened
        transport.abort()
        problem = os.strerror(errno.ECONNREFUSED).lower()
    raise CannotConnectError(f"cannot connect to {address}: {problem}")


def reason(error: OSError) -> str:
    """Say what went wrong without what asyncio adds: numbers, addresses, function names."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    # Where a name has several addresses, the errors of all of them come as one text.
    numbers = {int(number) for number in _ERRNO.findall(str(error))}
    reasons = " or ".join(os.strerror(number).lower() for number in sorted(numbers))
    return reasons or (error.strerror or str(error)).lower()


def _is_self_connected(transport: asyncio.BaseTransport) -> bool:
    """Tell whether both ends are one: TCP connects a socket to its own port if nobody listens.

    That happens to who tries often enough to reach a server on this machine that is not there, on a
    port of the range from which the system takes those of clients (RFC 9293, simultaneous open).
    """
    local, remote = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    return bool(local == remote)
