"""A program that writes pieces until it is killed, and says which it has written.

Run as ``python -m tests.chatctl.sharing.writer DIRECTORY``.
"""

import asyncio
import sys
from pathlib import Path
from random import Random
from typing import Final

from common.pieces import PIECE
from tests.chatctl.sharing.stores import Peer, noise, running

BURST: Final = 8


def written_peer() -> Peer:
    """Return the peer whose files are written."""
    return Peer("1", ("big.bin", noise(300 * PIECE + 1)), ("small.txt", noise(PIECE, 2)))


async def write(directory: Path) -> None:
    """Write all pieces but the last, in any order."""
    peer = written_peer()
    order = list(range(len(peer.pieces) - 1))
    Random(1).shuffle(order)
    async with running(directory) as run:
        await run.store.add(peer.manifest)
        for start in range(0, len(order), BURST):
            burst = order[start : start + BURST]
            await run.give(peer, burst)
            print(*burst, flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
