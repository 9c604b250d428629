"""The parser of a command line, as both sides use it."""

import sys
from argparse import ArgumentParser
from typing import Any


class CheckedArgumentParser(ArgumentParser):
    """Raises OSError when stdout does not take the help or the version; argparse would drop it."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is sys.stdout:
            file.write(message)
        else:
            super()._print_message(message, file)
