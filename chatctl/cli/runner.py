"""Run a command on an event loop, and turn what ends it into an exit code.

- A command returns its own exit code.
- A ClientError is reported on stderr; its class has the exit code.
- Ctrl-C cancels the command, which may still clean up or print a summary. Then KeyboardInterrupt
  is raised, for which `chatctl.__main__` returns 130.
- OutputError and BrokenPipeError mean that stdout is gone; `chatctl.__main__` handles them.

This module imports asyncio, which takes longer than all of ``chatctl --help``: import it late.

A command that fails in several tasks at once reports one error; `task_group` picks it.
"""

import asyncio
import os
from argparse import ArgumentParser, Namespace
from asyncio import AbstractEventLoop, TaskGroup
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol

from chatctl.cli import config
from chatctl.cli.config import Settings
from chatctl.cli.output import say
from chatctl.errors import ClientError
from common.protocol.text_format import escape_control


class Command(Protocol):
    """A module of `chatctl.commands`; it may also have `new_event_loop()`, which makes its loop."""

    EXAMPLE: str
    """Lines that can be typed."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments of the command."""

    def run(self, args: Namespace, settings: Settings) -> Coroutine[Any, Any, int]:
        """Run the command and return its exit code."""


def run(command: Command, args: Namespace) -> int:
    """Run `command` and return its exit code; a ClientError is reported on stderr.

    Raises OutputError and BrokenPipeError: the caller closes the output. Raises KeyboardInterrupt
    when Ctrl-C ended the command.
    """
    new_event_loop: Callable[[], AbstractEventLoop] | None
    new_event_loop = getattr(command, "new_event_loop", None)
    try:
        settings = config.load(vars(args), os.environ)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(command.run(args, settings))
    except ClientError as error:
        say(escape_control(str(error)))  # the server's words may hold anything
        return error.exit_code


@asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """Like `asyncio.TaskGroup`, but raises the first error itself instead of a group."""
    try:
        async with TaskGroup() as group:
            yield group
    except BaseExceptionGroup as error:
        raise error.exceptions[0] from None
