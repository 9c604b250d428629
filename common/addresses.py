"""Where a server listens: ``HOST:PORT``, ``[::1]:5555``, ``HOST``, ``:PORT``."""

import re
from typing import Final, NamedTuple, Self

HOST: Final = "127.0.0.1"
PORT: Final = 5555

_FORM: Final = re.compile(
    r"(?:\[(?P<bracketed>[^\s\[\]]+)\]|(?P<host>[^\s:\[\]]*))(?::(?P<port>[0-9]{1,5}))?"
)


class Address(NamedTuple):
    """A host name or IP address, and a TCP port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address; what is left out is 127.0.0.1 or 5555. Raises ValueError."""
        is_bare_ipv6 = text.count(":") > 1 and "[" not in text
        match = _FORM.fullmatch(f"[{text}]" if is_bare_ipv6 else text)
        port = int(match["port"] or PORT) if match else 0
        if not match or not text or not 1 <= port <= 65535:
            raise ValueError(
                f"{text!r} is not an address: write HOST:PORT, [::1]:5555, HOST or :PORT"
            )
        return cls(match["bracketed"] or match["host"] or HOST, port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
