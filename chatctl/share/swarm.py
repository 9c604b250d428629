"""The swarm: joins planner, store and connections, and exchanges pieces with all peers."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Final, TypeAlias

from bitarray import bitarray

from chatctl.share import events
from chatctl.share.frames import Frame, PeerProtocolError
from chatctl.share.manifests import ManifestCatalog, ManifestExchange
from chatctl.share.peer import Peer, PieceWriter
from chatctl.share.planner.actions import Action, Drop, FetchManifest, ProtocolViolationError, Send
from chatctl.share.planner.planner import Planner
from chatctl.share.progress import DownloadProgress
from chatctl.share.send_buffer import Traffic
from chatctl.share.storage.source_file import SharedFiles
from chatctl.share.storage.store import FileComplete, FileFailed, PiecesCorrupt, StorageEvent, Store
from common.manifest import PIECE_SIZE, Layout, max_encoded
from common.messages import peer_wire
from common.messages.base import Error, Message
from common.messages.peer_wire import GetManifest, HasManifest, ManifestHeader, Piece, RejectFiles
from common.protocol.registry import MessageRegistry

REGISTRY: Final[MessageRegistry[Any]] = MessageRegistry(
    [*peer_wire.CONTROL_MESSAGES, *peer_wire.PIECE_MESSAGES]
)
"""All messages between peers."""

_PLANNER_MESSAGES: Final = frozenset(peer_wire.PIECE_MESSAGES)

Emit: TypeAlias = Callable[[events.ShareEvent], object]
HandleMessage: TypeAlias = Callable[[Peer, Message], object]


class Swarm:
    """Exchanges the pieces of all owners with the connected `peers`; `emit` receives events."""

    def __init__(self, own: SharedFiles, store: Store, max_size: int, emit: Emit) -> None:
        manifest = own.manifest
        self.catalog = ManifestCatalog(manifest, max_size)
        self.files = DownloadProgress()
        self.handle_message: HandleMessage = lambda _peer, _message: None
        """Handles messages about the group rather than files; may raise PeerProtocolError."""
        self.peers: dict[str, Peer] = {}
        """The connected peers, by id."""
        self.departed: set[str] = set()
        """The ids of peers that left or were dropped, and did not come back."""
        self.exit_reasons: dict[str, str] = {}
        """Why peers are no longer connected, by id; the text completes "it …"."""
        self.traffic: dict[str, Traffic] = {}
        """The traffic with each peer that ever connected."""
        self.error: Exception | None = None
        """A local error that stops the exchange."""
        self.changed_at = time.monotonic()
        """When a peer last came or went (s, monotonic)."""
        self.completed_at: float | None = None
        """Since when all known files are here (s, monotonic); None while one is missing."""
        self.all_completed_at: float | None = None
        """Since when all connected peers have them as well."""
        self.lost_incomplete: set[str] = set()
        """The ids of peers that were lost before they had everything; they may come back."""
        self.changed = asyncio.Event()
        """Set by everything that may end the exchange."""
        layout = Layout(file.size for file in manifest.files)
        random = Random()  # noqa: S311 - it picks pieces, and protects no secret
        self.planner = Planner(manifest.owner, self.catalog.digest, layout, random=random)
        self._loop = asyncio.get_running_loop()
        self._id = manifest.owner
        self._emit = emit
        self._limits: dict[type[Message], int] = {
            ManifestHeader: max_encoded(max_size),
            Piece: PIECE_SIZE,
        }
        self._banned: set[str] = set()
        self._piece_writer = PieceWriter(
            store, self.peers, on_written=self._on_piece_written, on_error=self._on_error
        )
        self._manifest_exchange = ManifestExchange(
            self.catalog,
            self.files,
            store,
            on_manifest=self._on_manifest,
            on_error=self._on_error,
            emit=emit,
        )
        self._is_planning = self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        store.add_own(own)
        self._plan_soon()

    @property
    def pending_manifests(self) -> int:
        """How many manifests are expected from connected peers, or being added to the store."""
        return len(self._manifest_exchange) + sum(map(self.catalog.is_pending, self.peers))

    @property
    def is_complete(self) -> bool:
        """Whether all files of all known owners are here and verified."""
        return self.planner.is_complete and self.files.is_settled and not self.pending_manifests

    @property
    def is_needed(self) -> bool:
        """Whether a connected peer may lack pieces that are here."""
        return self.planner.is_needed or not all(
            peer.has_our_manifest for peer in self.peers.values()
        )

    def is_banned(self, run: str) -> bool:
        """Tell whether a peer with this run id was dropped."""
        return run in self._banned

    def join(self, peer: Peer) -> None:
        """Add a peer; none with its id may be connected."""
        connection = peer.connection
        connection.decoder.limits = self._limits
        connection.on_frame = partial(self._on_frame, peer)
        connection.on_close = partial(self._on_close, peer)
        self.peers[peer.id] = peer
        self.departed.discard(peer.id)
        self.lost_incomplete.discard(peer.id)
        self.exit_reasons.pop(peer.id, None)
        peer.traffic = self.traffic.setdefault(peer.id, Traffic())
        self.catalog.trust_digest(peer.id, peer.info.digest)
        self.changed_at = time.monotonic()
        self.planner.add_peer(peer.id, self.changed_at, connection.round_trip)
        self._emit(events.PeerConnected(peer.id, str(peer.listen_address)))
        self._plan_soon()

    def disconnect(self, peer: Peer) -> None:
        """Close the connection to a peer, and remove it."""
        peer.connection.close()
        if self.peers.get(peer.id) is not peer:
            return
        del self.peers[peer.id]
        self.changed_at = time.monotonic()
        self.planner.remove_peer(peer.id, self.changed_at)
        self.catalog.remove_peer(peer.id)
        self._plan_soon()

    def drop(self, peer: Peer, why: str) -> None:
        """Disconnect a peer and ban this run of it; `why` completes "it …"."""
        if peer.info.run in self._banned:
            return
        self._banned.add(peer.info.run)
        self.departed.add(peer.id)
        self.exit_reasons[peer.id] = f"dropped: {why}"
        self._emit(events.PeerDropped(peer.id, why))
        self.disconnect(peer)

    def on_storage_event(self, event: StorageEvent) -> None:
        """Handle an event of the store."""
        match event:
            case FileComplete(owner, number, path):
                file = self.files.finish(owner, number, path=path)
                self._emit(events.FileReceived(owner, file.name, str(path), file.size))
            case FileFailed(owner, number, error):
                file = self.files.finish(owner, number, error=str(error))
                self._emit(events.FileNotSaved(owner, file.name, str(error)))
            case PiecesCorrupt(owner, indexes):
                now = time.monotonic()
                for index in indexes:
                    self.files.remove_piece(owner, index)
                    self.planner.piece_lost(owner, index, now)
        self._plan_soon()

    def on_unreadable(self, peer: Peer, piece: Piece) -> None:
        """Handle a piece that could not be read for a peer."""
        self.planner.piece_unreadable(peer.id, piece.owner, piece.index, time.monotonic())
        self._plan_soon()

    def close(self) -> None:
        """Close all connections, and stop."""
        self._is_closed = True
        for peer in self.peers.values():
            peer.connection.close()
        if self._timer is not None:
            self._timer.cancel()
        self._manifest_exchange.close()

    def _on_frame(self, peer: Peer, frame: Frame) -> None:
        message, raw = frame
        now = time.monotonic()
        try:
            match message:
                case Piece():
                    if raw is None:
                        self.planner.receive(peer.id, message, now)
                    elif self.planner.piece_received(peer.id, message.owner, message.index, now):
                        self._piece_writer.write(peer, message, raw)
                case GetManifest(owner):
                    self._manifest_exchange.serve(peer, owner)
                case ManifestHeader(owner):
                    self._manifest_exchange.receive(peer, owner, raw)
                case Error(detail=detail):
                    peer.connection.abort(f"says: {detail}")
                case RejectFiles(why=why):
                    peer.has_our_manifest = True
                    self._emit(events.FilesRejected(peer.id, why))
                case _ if type(message) in _PLANNER_MESSAGES:
                    if isinstance(message, HasManifest) and message.owner == self._id:
                        peer.has_our_manifest = True
                    self.planner.receive(peer.id, message, now)
                case _:
                    self.handle_message(peer, message)
        except ProtocolViolationError as error:
            raise PeerProtocolError(str(error).removeprefix("it ")) from None
        self._plan_soon()

    def _on_close(self, peer: Peer, error: Exception) -> None:
        if isinstance(error, PeerProtocolError):
            self.drop(peer, str(error))
            return
        if peer.goodbye is not None:
            self.departed.add(peer.id)
        elif self.planner.is_peer_incomplete(peer.id):
            self.lost_incomplete.add(peer.id)
        self.disconnect(peer)
        how = self.exit_reasons[peer.id] = "left" if peer.goodbye else str(error)
        self._emit(events.PeerDisconnected(peer.id, how))

    def _on_piece_written(self, peer: Peer, piece: Piece, is_right: bool) -> None:
        owner, index, now = piece.owner, piece.index, time.monotonic()
        if is_right:
            peer.traffic.received += piece.size
            self.files.add_piece(owner, index)
            self.planner.piece_verified(owner, index, now)
        else:
            self.drop(peer, f"sent a piece of {owner} with the wrong digest")
            self.planner.piece_lost(owner, index, now)
        self._plan_soon()

    def _on_manifest(self, owner: str, layout: Layout, held: bitarray) -> None:
        digest = self.catalog.digest_of(owner)
        self.planner.add_owner(owner, digest, layout, held, time.monotonic())
        self._plan_soon()

    def _plan_soon(self) -> None:
        if not self._is_planning:
            self._is_planning = True
            self._loop.call_soon(self._plan)

    def _plan(self) -> None:
        """Carry out the actions that follow from all events of one loop iteration."""
        if self._is_closed:
            return
        self._is_planning = False
        for action in self.planner.take_actions(time.monotonic()):
            self._execute(action)
        self._manifest_exchange.send_requests(self.peers)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (deadline := self.planner.next_deadline) is not None:
            self._timer = self._loop.call_later(deadline - time.monotonic(), self._on_timer)
        self._check_completion()

    def _check_completion(self) -> None:
        if not self.is_complete:
            self.completed_at = self.all_completed_at = None
            return
        now = time.monotonic()
        if self.completed_at is None:
            self.completed_at = now
            self.changed.set()
        if self.is_needed:
            self.all_completed_at = None
        elif self.all_completed_at is None:
            self.all_completed_at = now
            self.changed.set()

    def _execute(self, action: Action) -> None:
        match action:
            case Send(peer_id, message):
                if (peer := self.peers.get(peer_id)) is not None:
                    peer.send(message)
            case FetchManifest(peer_id, owner, digest):
                self.catalog.add_announcer(peer_id, owner, digest)
            case Drop(peer_id, why):
                if (peer := self.peers.get(peer_id)) is not None:
                    self.drop(peer, why)

    def _on_timer(self) -> None:
        self._timer = None
        self.planner.on_timer(time.monotonic())
        self._plan_soon()

    def _on_error(self, error: BaseException) -> None:
        if isinstance(error, Exception) and self.error is None:
            self.error = error
        self.changed.set()
