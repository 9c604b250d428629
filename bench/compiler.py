"""The C compiler of this machine, if there is one: what it made is kept and not made twice."""

import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from bench.failures import BenchError

_KEPT: Final = Path(__file__).parent.parent / "build" / "bench"
_FLAGS: Final = ("-O3", "-Wall", "-Wextra")


class NotCompiled(BenchError):
    """There is no compiler, or it is too old for the source; the text says what to do."""


@cache
def compiled(source: Path, *flags: str) -> Path:
    """Return what `source` is when it is compiled. Raises NotCompiled."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NotCompiled("there is no C compiler: apt-get install gcc libc6-dev")
    fingerprint = hashlib.sha256(repr((compiler, _FLAGS, flags)).encode() + source.read_bytes())
    made = _KEPT / f"{source.stem}-{fingerprint.hexdigest()[:16]}"
    if not made.exists():
        _KEPT.mkdir(parents=True, exist_ok=True)
        draft = made.with_name(f"{made.name}.{os.getpid()}")  # others may compile the same
        command = [compiler, *_FLAGS, *flags, "-o", str(draft), str(source)]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        if told.returncode:
            raise NotCompiled(f"{compiler} cannot compile {source.name}:\n{told.stderr.strip()}")
        draft.rename(made)
    return made
