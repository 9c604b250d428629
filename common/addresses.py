"""``HOST:PORT`` as people write it, IPv6 in brackets."""

from typing import Final

PORT: Final = 5555
"""Where chatd listens unless told otherwise."""


def join_address(host: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(text: str, default_host: str = "127.0.0.1") -> tuple[str, int]:
    """Read ``HOST:PORT``, ``HOST``, ``:PORT``, ``[::1]:PORT`` or ``::1``.

    Raises ValueError when the port is not 1 to 65535.
    """
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not an address: write [::1]:5555")
        port = rest[1:]
    elif text.count(":") > 1:
        host, port = text, ""
    else:
        host, _, port = text.partition(":")
    if port and not (port.isdecimal() and port.isascii() and 1 <= int(port) <= 65535):
        raise ValueError(f"{text!r} is not an address: the port is 1 to 65535, as in host:5555")
    return host or default_host, int(port) if port else PORT
