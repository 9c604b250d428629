"""The line that one types at the bottom of a terminal, and what is printed above it.

A thin shell around prompt_toolkit. It runs once for a whole conversation: between two lines the
terminal is never in a mode in which it would echo keys by itself. What is new is printed as part of
a frame, and a frame reaches the terminal in one write, so that it never shows half of it.
"""

import os
import sys
from collections.abc import Callable
from typing import Final, Self, cast

from prompt_toolkit import PromptSession
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import Dimension
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style

from chatctl.chat.formatting import StyledLine
from chatctl.chat.screen import Screen

PROMPT: Final = "enter your message>"

_FRAME: Final = 1 / 30
"""Least time (s) between two frames."""

_STYLE: Final = Style([])


class _Terminal(Vt100_Output):
    """A terminal that is never asked where its cursor is, and gets each frame in one write."""

    is_drawing = False

    @classmethod
    def open(cls) -> Self:
        depth = ColorDepth.from_env()  # what NO_COLOR asks for, else None: as the terminal can
        opened = cls.from_pty(sys.stdout, os.environ.get("TERM"), default_color_depth=depth)
        return cast(Self, opened)

    @property
    def responds_to_cpr(self) -> bool:
        return False

    def flush(self) -> None:
        if not self.is_drawing:
            super().flush()


class Prompt:
    """Shows what `screen` holds; `on_input` gets each line and says whether it stays to be edited.

    `on_drawn` is called when lines have reached the terminal.
    """

    def __init__(
        self, screen: Screen, on_input: Callable[[str], bool], on_drawn: Callable[[], object]
    ) -> None:
        self._screen = screen
        self._on_input = on_input
        self._on_drawn = on_drawn
        self._terminal = _Terminal.open()
        self._session: PromptSession[bool] = PromptSession(
            self._message,
            key_bindings=self._keys(),
            complete_while_typing=False,
            enable_suspend=True,
            erase_when_done=True,
            output=self._terminal,
        )
        self._session.default_buffer.accept_handler = self._on_enter
        self._session.layout.current_window.height = self._height
        self._app = self._session.app
        self._app.min_redraw_interval = _FRAME
        self._app.before_render += self._begin_frame
        self._app.after_render += self._end_frame

    async def run(self) -> bool:
        """Let the person type until `close`; return whether it was Ctrl-C that ended it."""
        try:
            return await self._session.prompt_async(set_exception_handler=False)
        except EOFError:  # the terminal is gone
            return False

    def close(self, *, interrupted: bool = False) -> None:
        """Let `run` return."""
        if self._app.is_running and not self._app.is_done:
            self._app.exit(result=interrupted)

    def refresh(self) -> None:
        """Show what is new on the screen, soon."""
        if self._app.is_running:
            self._app.invalidate()
        else:
            self._print_new()

    @property
    def _columns(self) -> int:
        return self._terminal.get_size().columns

    def _height(self) -> Dimension:
        """Leave the upper half to what others say, however much is pasted."""
        return Dimension(max=max(1, self._terminal.get_size().rows // 2))

    def _message(self) -> StyleAndTextTuples:
        return [*_join(self._screen.pending_lines(self._columns)), ("", PROMPT)]

    def _on_enter(self, buffer: Buffer) -> bool:
        return self._on_input(buffer.text)

    def _begin_frame(self, _: object) -> None:
        self._terminal.is_drawing = True
        lines = self._screen.take_lines(self._columns)
        if lines:
            self._app.renderer.erase()
            self._print(lines)

    def _end_frame(self, _: object) -> None:
        self._terminal.is_drawing = False
        self._terminal.flush()
        self._on_drawn()

    def _print_new(self) -> None:
        self._print(self._screen.take_lines(self._columns))
        self._on_drawn()

    def _print(self, lines: list[StyledLine]) -> None:
        print_formatted_text(self._terminal, _join(lines), _STYLE)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        in_line = has_focus(DEFAULT_BUFFER)
        is_empty = Condition(lambda: not self._session.default_buffer.text)

        @keys.add("c-c", filter=in_line)
        @keys.add("<sigint>")
        def clear_or_leave(event: KeyPressEvent) -> None:
            if is_empty():
                self.close(interrupted=True)
            else:
                self._session.default_buffer.reset()

        @keys.add("c-d", filter=in_line & is_empty)
        def leave(event: KeyPressEvent) -> None:
            self.close()

        @keys.add("tab", filter=in_line)
        def complete(event: KeyPressEvent) -> None:
            document = event.current_buffer.document
            completed = self._screen.complete(document.text_before_cursor)
            remainder = document.text_after_cursor.removeprefix(
                "|" if completed.endswith("|") else ""
            )
            event.current_buffer.document = Document(completed + remainder, len(completed))

        return keys


def _join(lines: list[StyledLine]) -> StyleAndTextTuples:
    return [fragment for line in lines for fragment in (*line, ("", "\n"))]


async def ask_yes_no(question: str) -> bool:
    """Ask something to which Enter means yes; raises KeyboardInterrupt at Ctrl-C."""
    session: PromptSession[str] = PromptSession(f"{question} [Y/n] ", output=_Terminal.open())
    try:
        answer = await session.prompt_async(set_exception_handler=False)
    except EOFError:
        return False
    return answer.strip().casefold() in {"", "y", "yes"}
