"""Manifests on their way: sent to those who ask, and taken into the store when they come."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from bitarray import bitarray

from chatctl.sharing import events
from chatctl.sharing.files import DownloadProgress
from chatctl.sharing.owners import ManifestCatalog
from chatctl.sharing.partner import Peer
from chatctl.sharing.store import Store
from chatctl.sharing.wire import PeerProtocolError
from common.messages.introduction import GetManifest, ManifestHeader, RejectFiles
from common.pieces import InvalidManifestError, Layout, Manifest

OnManifest: TypeAlias = Callable[[str, Layout, bitarray], object]
"""Hears whose files are known from now on, how they are cut, and which pieces are here."""

_MAX_REASON: Final = 1_000


class ManifestExchange:
    """Keeps `catalog` and `files` up to date.

    `on_error` hears what keeps the files of an owner from being stored, `emit` what people should
    know.
    """

    def __init__(
        self,
        catalog: ManifestCatalog,
        files: DownloadProgress,
        store: Store,
        *,
        on_manifest: OnManifest,
        on_error: Callable[[Exception], object],
        emit: Callable[[events.ShareEvent], object],
    ) -> None:
        self._catalog = catalog
        self._files = files
        self._store = store
        self._on_manifest = on_manifest
        self._on_error = on_error
        self._emit = emit
        self._additions: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many manifests are being taken in."""
        return len(self._additions)

    def send_requests(self, peers: Mapping[str, Peer]) -> None:
        """Ask for the manifests that somebody among `peers` has and that are not here."""
        for peer_id, owner in self._catalog.queries():
            peers[peer_id].connection.send(GetManifest(owner))

    def serve(self, peer: Peer, owner: str) -> None:
        """Send a manifest to a peer, once; raises PeerProtocolError."""
        encoded = self._catalog.encoded(owner)
        if encoded is None or owner in peer.sent_manifests:
            raise PeerProtocolError(
                f"asks for the manifest of {owner} again, or for one that is not here"
            )
        peer.sent_manifests.add(owner)
        peer.connection.send(ManifestHeader(owner, len(encoded)), encoded)

    def receive(self, peer: Peer, owner: str, raw: bytearray | None) -> None:
        """Take a manifest, or its header, from a peer; raises PeerProtocolError."""
        if not self._catalog.is_requested(peer.id, owner):
            raise PeerProtocolError(f"sent a manifest of {owner} that it was not asked for")
        if raw is None:
            return
        try:
            manifest = self._catalog.receive(owner, bytes(raw))
        except InvalidManifestError as error:
            self._reject(peer, owner, str(error))
        except ValueError as error:
            raise PeerProtocolError(str(error)) from None
        else:
            task = asyncio.create_task(self._add(peer, manifest))
            self._additions.add(task)
            task.add_done_callback(self._additions.discard)

    def close(self) -> None:
        """Take in no more."""
        for task in self._additions:
            task.cancel()

    async def _add(self, peer: Peer, manifest: Manifest) -> None:
        owner = manifest.owner
        layout = self._files.add(manifest)
        try:
            held = await self._store.add(manifest)
        except InvalidManifestError as error:
            self._files.remove(owner)
            self._catalog.reject(owner, str(error))
            self._reject(peer, owner, str(error))
        except Exception as error:
            self._on_error(error)
        else:
            self._files.restore(owner, held)
            self._on_manifest(owner, layout, held)

    def _reject(self, peer: Peer, owner: str, why: str) -> None:
        self._emit(events.FilesSkipped(owner, why))
        if owner == peer.id:
            peer.connection.send(RejectFiles(why[:_MAX_REASON]))
