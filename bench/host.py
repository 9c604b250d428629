"""The host that is measured on: cores, descriptors, /proc, and the C compiler."""

import hashlib
import os
import platform
import resource
import shutil
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.errors import BenchError

_SPARE_DESCRIPTORS = 300  # for files, pipes and connections beside those that are counted


class Cores(Struct, frozen=True):
    """Where the server and the load run; the same core when there is only one."""

    server: int
    load: int

    @property
    def shared(self) -> bool:
        """Whether server and load compete for one core, which halves the rates."""
        return self.server == self.load


class Environment(Struct, frozen=True):
    """What the figures depend on besides the code that is measured; it does not name the host."""

    cpus: int
    cores: Cores
    descriptors: int
    kernel: str
    versions: dict[str, str]


def pick_cores() -> Cores:
    """Return the first two cores this process may use, or the only one twice."""
    if not hasattr(os, "sched_setaffinity"):
        raise BenchError("the benchmark pins its processes and reads /proc: it needs Linux")
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(server=allowed[0], load=allowed[min(1, len(allowed) - 1)])


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Start children on `core`: they inherit the affinity, their first thread too."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_descriptor_limit() -> int:
    """Lift this process's limit (and its children's) to the hard one; return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def affordable_connections(connections: int) -> tuple[int, str]:
    """Return how many of `connections` this process may hold open, and a note if it is fewer.

    The server runs under the same limit, in a process of its own.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    usable = limit - _SPARE_DESCRIPTORS
    if connections <= usable:
        return connections, ""
    return usable, (
        f"{usable} connections instead of {connections}: a process may have {limit} descriptors "
        "here; raise the hard limit (ulimit -Hn, limits.conf, LimitNOFILE) for all of them"
    )


def describe(cores: Cores) -> Environment:
    """Return what is known of this machine and of the libraries measured on it."""
    return Environment(
        cpus=os.cpu_count() or 1,
        cores=cores,
        descriptors=raise_descriptor_limit(),
        kernel=platform.release().partition("-")[0],
        versions={
            "python": platform.python_version(),
            **{name: _version(name) for name in ("uvloop", "msgspec")},
        },
    )


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds, user and system, of all threads of `pid`; resolution 10 ms."""
    # The command name, in parentheses, may hold spaces: fields count from behind it (proc(5)).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])
    return (user + system) / _TICKS_PER_SECOND


def busy_seconds(cores: Collection[int]) -> float:
    """Return the CPU seconds since boot in which `cores` were not idle, steal time included.

    Resolution 10 ms a core; /proc/stat, whose fields are those of proc(5).
    """
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in cores:
            user, nice, system, _idle, _iowait, irq, softirq, steal, *_guests = map(int, fields)
            total += user + nice + system + irq + softirq + steal
    return total / _TICKS_PER_SECOND


def resident_bytes(pid: int) -> int:
    """Return the resident memory of `pid` (VmRSS), in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has ended: it has no memory to measure")


def is_bound(port: int) -> bool:
    """Return whether a socket listens on the TCP `port` of IPv4, or is bound to the UDP port."""
    listens = f":{port:04X} 00000000:0000 "
    return any(
        listens in line and (protocol == "udp" or f"{listens}0A " in line)
        for protocol in ("tcp", "udp")
        for line in Path(f"/proc/net/{protocol}").read_text().splitlines()
    )


_KEPT: Final = Path(__file__).parent.parent / "build" / "bench"
_FLAGS: Final = ("-O3", "-Wall", "-Wextra")


class CompileError(BenchError):
    """There is no compiler, or it is too old for the source; the text says what to do."""


@cache
def compile_c(source: Path, *flags: str) -> Path:
    """Return what `source` is when it is compiled. Raises CompileError."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise CompileError("there is no C compiler: apt-get install gcc libc6-dev")
    fingerprint = hashlib.sha256(repr((compiler, _FLAGS, flags)).encode() + source.read_bytes())
    made = _KEPT / f"{source.stem}-{fingerprint.hexdigest()[:16]}"
    if not made.exists():
        _KEPT.mkdir(parents=True, exist_ok=True)
        draft = made.with_name(f"{made.name}.{os.getpid()}")  # others may compile the same
        command = [compiler, *_FLAGS, *flags, "-o", str(draft), str(source)]
        completed = subprocess.run(command, capture_output=True, text=True, check=False)
        if completed.returncode:
            raise CompileError(
                f"{compiler} cannot compile {source.name}:\n{completed.stderr.strip()}"
            )
        draft.rename(made)
    return made
