"""A program that writes pieces until it is killed, and says which it has written.

Run as ``python -m tests.chatctl.sharing.writer DIRECTORY``.
"""

import asyncio
import sys
from pathlib import Path
from random import Random
from typing import Final

from common.pieces import PIECE_SIZE
from tests.chatctl.sharing.stores import PeerFiles, open_store, random_bytes

BURST: Final = 8


def written_peer() -> PeerFiles:
    """Return the peer whose files are written."""
    return PeerFiles(
        "1",
        ("big.bin", random_bytes(300 * PIECE_SIZE + 1)),
        ("small.txt", random_bytes(PIECE_SIZE, 2)),
    )


async def write(directory: Path) -> None:
    """Write all pieces but the last, in any order."""
    peer = written_peer()
    order = list(range(len(peer.pieces) - 1))
    Random(1).shuffle(order)
    async with open_store(directory) as harness:
        await harness.store.add(peer.manifest)
        for start in range(0, len(order), BURST):
            burst = order[start : start + BURST]
            await harness.write_pieces(peer, burst)
            print(*burst, flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
