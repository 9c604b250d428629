"""Code that chatd and chatctl share: messages, the wire protocol, value types, the OS layer."""

from typing import Final

__version__: Final = "0.1.0"
