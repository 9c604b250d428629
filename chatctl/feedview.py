"""How a feed is shown: one line each, one JSON object each, or laid out for a terminal."""

from datetime import datetime, tzinfo
from typing import Any, Protocol

import msgspec
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from chatctl.feed import Item
from chatctl.output import print_json, print_line
from common.messages.feed import Array, Block, Person, User
from common.text import escape_control
from common.timestamps import format_time


class FeedView(Protocol):
    """Shows what came and when, in ns since the Unix epoch."""

    def item(self, item: Item, received: int) -> None:
        """Show a message."""

    def block(self, number: int, block: Block, received: int) -> None:
        """Show how long a block took; `number` counts from 1."""


class FeedText:
    """One line each, in UTC."""

    def item(self, item: Item, received: int) -> None:
        """Print a user or the values of an array."""
        content = ", ".join(_person_fields(item.user)) if isinstance(item, User) else _values(item)
        print_line(f"{format_time(received)} {_topic(item)} {item.n}: {content}")

    def block(self, number: int, block: Block, received: int) -> None:
        """Print a sentence."""
        print_line(f"{format_time(received)} {_format_block(number, block)}")


class FeedRecords:
    """One JSON object each, with `received` and what the server sent, or what it was told."""

    def item(self, item: Item, received: int) -> None:
        """Print the message."""
        _print_record(item, received)

    def block(self, number: int, block: Block, received: int) -> None:
        """Print the block."""
        _print_record(block, received)


class FeedPanels:
    """In columns, as wide as the terminal; times as in `zone`, or as they are here."""

    def __init__(self, console: Console | None = None, zone: tzinfo | None = None) -> None:
        self._console = console or Console()
        self._zone = zone

    def item(self, item: Item, received: int) -> None:
        """Print a user on a few lines, or an array."""
        row = Table.grid(padding=(0, 2))
        row.add_column(style="dim", no_wrap=True)
        row.add_column(min_width=len("array 1000"), no_wrap=True)
        row.add_column()
        style = "cyan" if isinstance(item, User) else "green"
        at = datetime.fromtimestamp(received / 1e9, self._zone)
        content = (
            _format_person(item.user)
            if isinstance(item, User)
            else Text(_values(item, aligned=True))
        )
        row.add_row(
            f"{at:%H:%M:%S}.{at.microsecond // 1000:03}",
            Text(f"{_topic(item)} {item.n}", style),
            content,
        )
        self._console.print(row)

    def block(self, number: int, block: Block, received: int) -> None:
        """Print a rule across the terminal."""
        style = "yellow" if block.interrupted else "dim"
        self._console.print(
            Rule(Text(_format_block(number, block), style), style=style, align="left")
        )


def _topic(item: Item) -> str:
    return "user" if isinstance(item, User) else "array"


def _values(array: Array, *, aligned: bool = False) -> str:
    texts = [str(value) for value in array.values]
    width = max(map(len, texts), default=0) if aligned else 0
    return " ".join(text.rjust(width) for text in texts)


def _person_fields(person: Person) -> list[str]:
    """Return what is known of somebody, each safe to print on one line."""
    return [
        escape_control(", ".join(field.splitlines()))
        for field in (
            f"{person.name} ({person.username})",
            f"born {person.birthdate}",
            person.company,
            person.address,
            person.phone,
            person.email,
        )
    ]


def _format_person(person: Person) -> Text:
    name, born, company, address, phone, email = _person_fields(person)
    return Text.assemble((name, "bold"), f", {born}\n{company}\n{address}\n{phone}, {email}")


def _format_block(number: int, block: Block) -> str:
    messages = "message" if block.count == 1 else "messages"
    mark = ", interrupted" if block.interrupted else ""
    return f"block {number}: {block.count} {messages} in {block.seconds:.3f} s{mark}"


def _print_record(message: Item | Block, received: int) -> None:
    fields: dict[str, Any] = msgspec.to_builtins(message)
    print_json({"received": format_time(received), **fields})
