"""The input line at the bottom of a terminal, and the lines printed above it.

A thin layer over prompt_toolkit. One prompt runs for a whole conversation, so the terminal never
echoes keys by itself between two lines. New lines are printed as part of a frame, and each frame
reaches the terminal in one write, so half a frame is never visible.
"""

import os
import sys
from typing import Final, Protocol, Self, cast

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

PROMPT: Final = "enter your message>"

_FRAME: Final = 1 / 30
"""Least time (s) between two frames."""

_STYLE: Final = Style([])


class PromptContent(Protocol):
    """What a prompt shows, and where it sends the input; a conversation implements it."""

    def take_lines(self, columns: int) -> list[StyledLine]:
        """Return the lines to print above the prompt that are new since the last call."""

    def pending_lines(self, columns: int) -> list[StyledLine]:
        """Return the lines between these and the prompt, which may still change."""

    def complete(self, typed: str) -> str:
        """Return `typed` with the name at its start completed."""

    def submitted(self, text: str) -> bool:
        """Handle a line of input; return whether it stays in the prompt to be edited."""

    def drawn(self) -> None:
        """Note that all lines taken so far have reached the terminal."""


class _Terminal(Vt100_Output):
    """A terminal that is never asked for its cursor position, and gets each frame in one write."""

    is_drawing = False

    @classmethod
    def open(cls) -> Self:
        depth = ColorDepth.from_env()  # NO_COLOR; None means what the terminal can do
        opened = cls.from_pty(sys.stdout, os.environ.get("TERM"), default_color_depth=depth)
        return cast(Self, opened)

    @property
    def responds_to_cpr(self) -> bool:
        return False

    def flush(self) -> None:
        if not self.is_drawing:
            super().flush()


class Prompt:
    """Edits the input line, and shows the lines of `content` above it."""

    def __init__(self, content: PromptContent) -> None:
        self._content = content
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
        """Read input until `close`; return whether Ctrl-C ended it."""
        try:
            return await self._session.prompt_async(set_exception_handler=False)
        except EOFError:  # the terminal is gone
            return False

    def close(self, *, interrupted: bool = False) -> None:
        """Make `run` return."""
        if self._app.is_running and not self._app.is_done:
            self._app.exit(result=interrupted)

    def refresh(self) -> None:
        """Draw a frame soon, with the new lines of the content."""
        if self._app.is_running:
            self._app.invalidate()
        else:
            self._print_new()

    @property
    def _columns(self) -> int:
        return self._terminal.get_size().columns

    def _height(self) -> Dimension:
        """Leave the upper half of the terminal to messages, however much is pasted."""
        return Dimension(max=max(1, self._terminal.get_size().rows // 2))

    def _message(self) -> StyleAndTextTuples:
        return [*_join(self._content.pending_lines(self._columns)), ("", PROMPT)]

    def _on_enter(self, buffer: Buffer) -> bool:
        return self._content.submitted(buffer.text)

    def _begin_frame(self, _: object) -> None:
        self._terminal.is_drawing = True
        lines = self._content.take_lines(self._columns)
        if lines:
            self._app.renderer.erase()
            self._print(lines)

    def _end_frame(self, _: object) -> None:
        self._terminal.is_drawing = False
        self._terminal.flush()
        self._content.drawn()

    def _print_new(self) -> None:
        self._print(self._content.take_lines(self._columns))
        self._content.drawn()

    def _print(self, lines: list[StyledLine]) -> None:
        print_formatted_text(self._terminal, _join(lines), _STYLE)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        in_line = has_focus(DEFAULT_BUFFER)
        is_empty = Condition(lambda: not self._session.default_buffer.text)

        @keys.add("c-c", filter=in_line)
        @keys.add("<sigint>")
        def clear_or_quit(event: KeyPressEvent) -> None:
            if is_empty():
                self.close(interrupted=True)
            else:
                self._session.default_buffer.reset()

        @keys.add("c-d", filter=in_line & is_empty)
        def quit_chat(event: KeyPressEvent) -> None:
            self.close()

        @keys.add("tab", filter=in_line)
        def complete(event: KeyPressEvent) -> None:
            document = event.current_buffer.document
            completed = self._content.complete(document.text_before_cursor)
            remainder = document.text_after_cursor.removeprefix(
                "|" if completed.endswith("|") else ""
            )
            event.current_buffer.document = Document(completed + remainder, len(completed))

        return keys


def _join(lines: list[StyledLine]) -> StyleAndTextTuples:
    return [fragment for line in lines for fragment in (*line, ("", "\n"))]


async def ask_yes_no(question: str) -> bool:
    """Ask a question; Enter means yes. Raises KeyboardInterrupt at Ctrl-C."""
    session: PromptSession[str] = PromptSession(f"{question} [Y/n] ", output=_Terminal.open())
    try:
        answer = await session.prompt_async(set_exception_handler=False)
    except EOFError:
        return False
    return answer.strip().casefold() in {"", "y", "yes"}
