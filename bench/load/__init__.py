"""What loads a server: messages in flight on many sockets, every byte that comes back compared."""

from bench.compiler import NotCompiled
from bench.load.lane import Lane, Load
from bench.load.native import NativeLoad
from bench.load.plain import PlainLoad


def open_load(lanes: list[Lane]) -> Load:
    """Return the load that is compiled, or where nothing can be, the one that is not."""
    try:
        return NativeLoad(lanes)
    except NotCompiled:
        return PlainLoad(lanes)
