"""Draw terminal screens as SVG: text with SGR escape sequences in (ECMA-48), a picture out.

The picture needs no font of its own. Each run of text is stretched to its columns, so that every
monospaced font keeps the lines aligned.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape, quoteattr

_SGR: Final = re.compile(r"\x1b\[([0-9;]*)m")
_CUBE: Final = (0, 95, 135, 175, 215, 255)
"""The levels of red, green and blue that colours 16 to 231 are made of."""

_BACKGROUND: Final = "#1b1f24"
_TITLE_BAR: Final = "#2d333b"
_TEXT: Final = "#d5dae0"
_TITLE: Final = "#8b949e"
_LIGHTS: Final = ("#ff5f57", "#febc2e", "#28c840")

_FONTS: Final = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
_COLUMN: Final = 8.4
_ROW: Final = 20
_FONT_SIZE: Final = 14
_MARGIN: Final = 14
_BAR: Final = 30
_GAP: Final = 20


class Style(NamedTuple):
    """How a run of text looks."""

    colour: str = _TEXT
    is_bold: bool = False
    is_dim: bool = False


class Window(NamedTuple):
    """One terminal: its title, its size in characters, and its lines with escape sequences."""

    title: str
    columns: int
    rows: int
    lines: Sequence[str]

    @property
    def width(self) -> float:
        """The width of the drawn window, in pixels."""
        return self.columns * _COLUMN + 2 * _MARGIN

    @property
    def height(self) -> float:
        """The height of the drawn window, in pixels."""
        return self.rows * _ROW + 2 * _MARGIN + _BAR


def draw(windows: Sequence[Window], description: str) -> str:
    """Return the windows side by side as SVG; screen readers read the `description`."""
    width = sum(window.width for window in windows) + _GAP * (len(windows) - 1)
    height = max(window.height for window in windows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img"'
        f" aria-label={quoteattr(description)}>",
        f"<style>text{{font-family:{_FONTS};font-size:{_FONT_SIZE}px;white-space:pre}}</style>",
    ]
    left = 0.0
    for window in windows:
        parts += [f'<g transform="translate({left:g} 0)">', *_draw_window(window), "</g>"]
        left += window.width + _GAP
    return "\n".join([*parts, "</svg>", ""])


def styled_lines(lines: Iterable[str]) -> Iterator[list[tuple[Style, str]]]:
    """Split each line at its escape sequences into runs of one style, which outlasts the line."""
    style = Style()
    for line in lines:
        runs, start = [], 0
        for match in _SGR.finditer(line):
            runs.append((style, line[start : match.start()]))
            style, start = _apply(style, match[1]), match.end()
        yield [*runs, (style, line[start:])]


def _apply(style: Style, parameters: str) -> Style:
    codes = iter([int(code or 0) for code in parameters.split(";")])
    for code in codes:
        if code == 0:
            style = Style()
        elif code == 1:
            style = style._replace(is_bold=True)
        elif code == 2:
            style = style._replace(is_dim=True)
        elif code == 22:
            style = style._replace(is_bold=False, is_dim=False)
        elif code == 39:
            style = style._replace(colour=_TEXT)
        elif code == 38 and next(codes) == 5:
            style = style._replace(colour=_indexed(next(codes)))
    return style


def _indexed(index: int) -> str:
    """Return a colour of the 6 x 6 x 6 cube by its number."""
    red, rest = divmod(index - 16, 36)
    green, blue = divmod(rest, 6)
    return f"#{_CUBE[red]:02x}{_CUBE[green]:02x}{_CUBE[blue]:02x}"


def _draw_window(window: Window) -> Iterator[str]:
    yield _rectangle(window.width, window.height, _BACKGROUND)
    yield _rectangle(window.width, _BAR, _TITLE_BAR)
    for number, colour in enumerate(_LIGHTS):
        yield f'<circle cx="{18 + 20 * number}" cy="{_BAR / 2:g}" r="6" fill="{colour}"/>'
    yield (
        f'<text x="{window.width / 2:g}" y="{_BAR / 2 + 5:g}" fill="{_TITLE}"'
        f' text-anchor="middle">{escape(window.title)}</text>'
    )
    for row, runs in enumerate(styled_lines(window.lines[: window.rows])):
        yield from _draw_line(runs, _BAR + _MARGIN + row * _ROW + _FONT_SIZE)


def _rectangle(width: float, height: float, colour: str) -> str:
    return f'<rect width="{width:g}" height="{height:g}" rx="8" fill="{colour}"/>'


def _draw_line(runs: Iterable[tuple[Style, str]], baseline: float) -> Iterator[str]:
    column = 0
    for style, text in runs:
        stripped = text.strip(" ")
        if stripped:
            at = column + text.index(stripped[0])
            yield (
                f'<text x="{_MARGIN + at * _COLUMN:g}" y="{baseline:g}" fill="{style.colour}"'
                + (' font-weight="bold"' if style.is_bold else "")
                + (' opacity="0.6"' if style.is_dim else "")
                + f' textLength="{len(stripped) * _COLUMN:g}">{escape(stripped)}</text>'
            )
        column += len(text)
