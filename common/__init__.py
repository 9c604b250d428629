"""What both programs share: messages, the wire protocol, rules for values, the operating system."""

from typing import Final

__version__: Final = "0.1.0"
