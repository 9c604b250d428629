"""The machine that is measured on: cores, descriptors, and what a reader must know to compare."""

import os
import platform
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

from msgspec import Struct

from bench.failures import BenchError

_SPARE_DESCRIPTORS = 300  # for files, pipes and connections beside those that are counted


class Cores(Struct, frozen=True):
    """Where the server and the load run; the same core when there is only one."""

    server: int
    load: int

    @property
    def shared(self) -> bool:
        """Whether server and load compete for one core, which makes rates half of the truth."""
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
    """Start children on `core`: affinity is inherited, so not even their first thread strays."""
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


def affordable(connections: int) -> tuple[int, str]:
    """Return how many of `connections` this process may hold open, and a note if it is fewer.

    The server runs under the same limit, in a process of its own.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = limit - _SPARE_DESCRIPTORS
    if connections <= room:
        return connections, ""
    return room, (
        f"{room} connections instead of {connections}: a process may have {limit} descriptors "
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
