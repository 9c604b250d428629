"""Manifest exchange (as BEP 9 does it for torrents): which manifests exist, who has them, fetching.

`ManifestCatalog` decides what to ask of whom; `ManifestExchange` sends, receives and stores.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from bitarray import bitarray

from chatctl.share import events
from chatctl.share.frames import PeerProtocolError
from chatctl.share.peer import Peer
from chatctl.share.progress import DownloadProgress
from chatctl.share.storage.store import Store
from common.manifest import InvalidManifestError, Layout, Manifest, decode, digest, encode
from common.messages.peer_wire import GetManifest, ManifestHeader, RejectFiles


class ManifestQuery(NamedTuple):
    """Ask `peer_id` for the manifest of `owner`."""

    peer_id: str
    owner: str


class ManifestCatalog:
    """The manifests that are here, and those that peers announced.

    Any peer may deliver a manifest, but it counts only if its digest is known from the owner, which
    proved it in the handshake, or from the server.
    """

    def __init__(self, own: Manifest, max_size: int) -> None:
        encoded = encode(own)
        self.digest = digest(encoded)
        """The digest of this peer's own manifest."""
        self.rejected: dict[str, str] = {}
        """The owners whose files are skipped, and why."""
        self._max_size = max_size
        self._encoded = {own.owner: encoded}
        self._digests = {own.owner: self.digest}
        self._announcers: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._requested: dict[str, str] = {}

    def encoded(self, owner: str) -> bytes | None:
        """Return the encoded manifest of `owner`, None when it is not here."""
        return self._encoded.get(owner)

    def digest_of(self, owner: str) -> str:
        """Return the digest of the manifest of `owner`; raises KeyError."""
        return self._digests[owner]

    def is_pending(self, owner: str) -> bool:
        """Tell whether the manifest of `owner` is neither here nor rejected."""
        return owner not in self._encoded and owner not in self.rejected

    def trust_digest(self, owner: str, digest: str) -> None:
        """Trust a digest for the manifest of `owner`, unless that manifest is here already."""
        if self.is_pending(owner):
            self._digests[owner] = digest

    def add_announcer(self, peer_id: str, owner: str, digest: str) -> None:
        """Note that a connected `peer_id` announced a manifest of `owner`."""
        self._announcers[owner][peer_id] = digest

    def remove_peer(self, peer_id: str) -> None:
        """Forget a disconnected peer; what was requested from it is requested from others."""
        for announcers in self._announcers.values():
            announcers.pop(peer_id, None)
        for owner in [
            owner for owner, requested in self._requested.items() if requested == peer_id
        ]:
            del self._requested[owner]

    def queries(self) -> list[ManifestQuery]:
        """Return the requests to send now, and count them as sent."""
        queries = []
        for owner, announcers in self._announcers.items():
            if owner in self._requested or not self.is_pending(owner):
                continue
            digest = self._digests.get(owner)
            candidates = [
                peer_id for peer_id, announced in announcers.items() if announced == digest
            ]
            if candidates:
                self._requested[owner] = owner if owner in candidates else candidates[0]
                queries.append(ManifestQuery(self._requested[owner], owner))
        return queries

    def is_requested(self, peer_id: str, owner: str) -> bool:
        """Tell whether the manifest of `owner` was requested from `peer_id`."""
        return self._requested.get(owner) == peer_id

    def receive(self, owner: str, encoded: bytes) -> Manifest:
        """Decode and keep a manifest that was received.

        Raises ValueError when its digest is not the announced one, and InvalidManifestError when it
        is invalid; the files of that owner are then skipped.
        """
        self._requested.pop(owner, None)
        if digest(encoded) != self._digests[owner]:
            raise ValueError(f"sent a manifest of {owner} that has not the announced digest")
        try:
            manifest = decode(encoded, self._max_size)
            if manifest.owner != owner:
                raise InvalidManifestError(f"it names {manifest.owner!r} as its owner")
        except InvalidManifestError as error:
            self.rejected[owner] = str(error)
            raise
        self._encoded[owner] = encoded
        return manifest

    def reject(self, owner: str, why: str) -> None:
        """Reject a manifest whose files cannot be saved."""
        self._encoded.pop(owner, None)
        self.rejected[owner] = why


OnManifest: TypeAlias = Callable[[str, Layout, bitarray], object]
"""Receives the owner of a new manifest, the layout of its files, and the pieces already here."""

_MAX_REASON: Final = 1_000


class ManifestExchange:
    """Sends and receives manifests, and keeps `catalog` and `files` up to date.

    `on_error` is called with an error that prevents files from being stored.
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
        """Return how many manifests are being added to the store."""
        return len(self._additions)

    def send_requests(self, peers: Mapping[str, Peer]) -> None:
        """Request the missing manifests that one of `peers` announced."""
        for peer_id, owner in self._catalog.queries():
            peers[peer_id].connection.send(GetManifest(owner))

    def serve(self, peer: Peer, owner: str) -> None:
        """Send a manifest to a peer, once; raises PeerProtocolError."""
        encoded = self._catalog.encoded(owner)
        if encoded is None or owner in peer.sent_manifests:
            raise PeerProtocolError(
                f"requested the manifest of {owner} twice, or one that is not here"
            )
        peer.sent_manifests.add(owner)
        peer.connection.send(ManifestHeader(owner, len(encoded)), encoded)

    def receive(self, peer: Peer, owner: str, raw: bytearray | None) -> None:
        """Handle a manifest, or its header, from a peer; raises PeerProtocolError."""
        if not self._catalog.is_requested(peer.id, owner):
            raise PeerProtocolError(f"sent a manifest of {owner} that was not requested")
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
        """Stop adding manifests."""
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
