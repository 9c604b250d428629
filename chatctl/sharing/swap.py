"""Joins the planner, the store and the links: whoever is linked is served, and asked."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Final, TypeAlias

from chatctl.sharing import events
from chatctl.sharing.describing import Describing
from chatctl.sharing.files import Files
from chatctl.sharing.landing import Landing
from chatctl.sharing.manifest import Collection
from chatctl.sharing.outgoing import Traffic
from chatctl.sharing.owners import Owners
from chatctl.sharing.partner import Partner
from chatctl.sharing.store import Arrived, Failed, News, Spoilt, Store
from chatctl.sharing.wire import Frame, WireError
from chatctl.swarm.orders import Action, Drop, FetchManifest, ProtocolViolationError, Send
from chatctl.swarm.planner import Planner
from common import pieces
from common.catalogue import Catalogue
from common.messages import introduction, swarm
from common.messages.base import Error, Message
from common.messages.introduction import GetManifest, ManifestHeader, RejectFiles
from common.messages.swarm import HasManifest, Piece
from common.pieces import PIECE, Layout, PieceSet

CATALOGUE: Final[Catalogue[Any]] = Catalogue([*introduction.FROM_PEER, *swarm.FROM_PEER])
"""What a peer understands of another."""

_SWARM: Final = frozenset(swarm.FROM_PEER)

Tell: TypeAlias = Callable[[events.Event], object]
Converse: TypeAlias = Callable[[Partner, Message], object]


class Swap:
    """The exchange of pieces among those in `partners`.

    `tell` hears what happens.
    """

    def __init__(self, own: Collection, store: Store, max_size: int, tell: Tell) -> None:
        manifest = own.manifest
        self.owners = Owners(manifest, max_size)
        self.files = Files()
        self.converse: Converse = lambda _partner, _message: None
        """Takes what is said about anything but pieces and manifests; may raise WireError."""
        self.partners: dict[str, Partner] = {}
        """Those who are linked, by their id."""
        self.gone: set[str] = set()
        """Those who left or were dropped, and did not come back."""
        self.fates: dict[str, str] = {}
        """What became of those who are not linked any more; it completes "it …"."""
        self.traffic: dict[str, Traffic] = {}
        """What went to and came from everyone who was linked."""
        self.fault: Exception | None = None
        """What keeps this machine from going on."""
        self.changed_at = time.monotonic()
        """When somebody came or went last (s, monotonic)."""
        self.completed_at: float | None = None
        """Since when everything that is known of is here (s, monotonic); None while it is not."""
        self.satisfied_at: float | None = None
        """Since when it is also with everyone who is linked."""
        self.missed: set[str] = set()
        """Those who are gone without a word and lacked something; they may come back."""
        self.stirred = asyncio.Event()
        """Set by everything that may be the end."""
        layout = Layout(file.size for file in manifest.files)
        self.planner = Planner(
            manifest.owner,
            self.owners.digest,
            layout,
            random=Random(),  # noqa: S311
        )
        self._loop = asyncio.get_running_loop()
        self._id = manifest.owner
        self._tell = tell
        self._limits: dict[type[Message], int] = {
            ManifestHeader: pieces.max_encoded(max_size),
            Piece: PIECE,
        }
        self._barred: set[str] = set()
        self._landing = Landing(store, self.partners, land=self._landed, fail=self._fail)
        self._describing = Describing(
            self.owners, self.files, store, know=self._know, fail=self._fail, tell=tell
        )
        self._is_planning = self._is_closed = False
        self._alarm: asyncio.TimerHandle | None = None
        store.share(own)
        self._plan_soon()

    @property
    def awaited(self) -> int:
        """Manifests that are to come from those who are linked, or are being taken in."""
        return len(self._describing) + sum(map(self.owners.is_awaited, self.partners))

    @property
    def is_complete(self) -> bool:
        """Whether every file of every owner that is known is here, and checked."""
        return self.planner.is_complete and self.files.are_settled and not self.awaited

    @property
    def is_needed(self) -> bool:
        """Whether somebody who is linked lacks what is here, as far as can be told."""
        return self.planner.is_needed or not all(
            partner.has_our_manifest for partner in self.partners.values()
        )

    def is_barred(self, run: str) -> bool:
        """Tell whether this run of a peer was dropped."""
        return run in self._barred

    def join(self, partner: Partner) -> None:
        """Begin with a partner; nobody of its id is linked."""
        link = partner.link
        link.reader.limits = self._limits
        link.hear = partial(self._hear, partner)
        link.lose = partial(self._lose, partner)
        self.partners[partner.id] = partner
        self.gone.discard(partner.id)
        self.missed.discard(partner.id)
        self.fates.pop(partner.id, None)
        partner.traffic = self.traffic.setdefault(partner.id, Traffic())
        self.owners.trust(partner.id, partner.card.digest)
        self.changed_at = time.monotonic()
        self.planner.add_peer(partner.id, self.changed_at, link.round_trip)
        self._tell(events.Met(partner.id, str(partner.listens_at)))
        self._plan_soon()

    def let_go(self, partner: Partner) -> None:
        """End with a partner."""
        partner.link.close()
        if self.partners.get(partner.id) is not partner:
            return
        del self.partners[partner.id]
        self.changed_at = time.monotonic()
        self.planner.remove_peer(partner.id, self.changed_at)
        self.owners.leave(partner.id)
        self._plan_soon()

    def drop(self, partner: Partner, why: str) -> None:
        """End with a partner for good; `why` completes "it …"."""
        if partner.card.run in self._barred:
            return
        self._barred.add(partner.card.run)
        self.gone.add(partner.id)
        self.fates[partner.id] = f"dropped: {why}"
        self._tell(events.Dropped(partner.id, why))
        self.let_go(partner)

    def hear_news(self, news: News) -> None:
        """Note what became of a file; the store calls this."""
        match news:
            case Arrived(owner, number, path):
                file = self.files.settle(owner, number, path=path)
                self._tell(events.Received(owner, file.name, str(path), file.size))
            case Failed(owner, number, fault):
                file = self.files.settle(owner, number, fault=str(fault))
                self._tell(events.NotKept(owner, file.name, str(fault)))
            case Spoilt(owner, indexes):
                now = time.monotonic()
                for index in indexes:
                    self.files.lose(owner, index)
                    self.planner.piece_lost(owner, index, now)
        self._plan_soon()

    def unreadable(self, partner: Partner, piece: Piece) -> None:
        """Note that a piece could not be read for a partner."""
        self.planner.piece_unreadable(partner.id, piece.owner, piece.index, time.monotonic())
        self._plan_soon()

    def close(self) -> None:
        """Let everyone go, and do nothing any more."""
        self._is_closed = True
        for partner in self.partners.values():
            partner.link.close()
        if self._alarm is not None:
            self._alarm.cancel()
        self._describing.close()

    def _hear(self, partner: Partner, frame: Frame) -> None:
        message, raw = frame
        now = time.monotonic()
        try:
            match message:
                case Piece():
                    if raw is None:
                        self.planner.receive(partner.id, message, now)
                    elif self.planner.piece_received(partner.id, message.owner, message.index, now):
                        self._landing.take(partner, message, raw)
                case GetManifest(owner):
                    self._describing.answer(partner, owner)
                case ManifestHeader(owner):
                    self._describing.take(partner, owner, raw)
                case Error(detail=detail):
                    partner.link.lose_with(f"says: {detail}")
                case RejectFiles(why=why):
                    partner.has_our_manifest = True
                    self._tell(events.Declined(partner.id, why))
                case _ if type(message) in _SWARM:
                    if isinstance(message, HasManifest) and message.owner == self._id:
                        partner.has_our_manifest = True
                    self.planner.receive(partner.id, message, now)
                case _:
                    self.converse(partner, message)
        except ProtocolViolationError as fault:
            raise WireError(str(fault).removeprefix("it ")) from None
        self._plan_soon()

    def _lose(self, partner: Partner, fault: Exception) -> None:
        if isinstance(fault, WireError):
            self.drop(partner, str(fault))
            return
        if partner.farewell is not None:
            self.gone.add(partner.id)
        elif self.planner.is_peer_incomplete(partner.id):
            self.missed.add(partner.id)
        self.let_go(partner)
        how = self.fates[partner.id] = "left" if partner.farewell else str(fault)
        self._tell(events.Parted(partner.id, how))

    def _landed(self, partner: Partner, piece: Piece, is_right: bool) -> None:
        owner, index, now = piece.owner, piece.index, time.monotonic()
        if is_right:
            partner.traffic.received += piece.size
            self.files.gain(owner, index)
            self.planner.piece_verified(owner, index, now)
        else:
            self.drop(partner, f"sent a piece of {owner} that {owner} never announced")
            self.planner.piece_lost(owner, index, now)
        self._plan_soon()

    def _know(self, owner: str, layout: Layout, held: PieceSet) -> None:
        digest = self.owners.digest_of(owner)
        self.planner.add_owner(owner, digest, layout, held, time.monotonic())
        self._plan_soon()

    def _plan_soon(self) -> None:
        if not self._is_planning:
            self._is_planning = True
            self._loop.call_soon(self._plan)

    def _plan(self) -> None:
        """Carry out what the planner makes of all that has happened in a turn of the loop."""
        if self._is_closed:
            return
        self._is_planning = False
        for order in self.planner.take_actions(time.monotonic()):
            self._carry_out(order)
        self._describing.ask(self.partners)
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if (deadline := self.planner.next_deadline) is not None:
            self._alarm = self._loop.call_later(deadline - time.monotonic(), self._wake)
        self._look_for_the_end()

    def _look_for_the_end(self) -> None:
        if not self.is_complete:
            self.completed_at = self.satisfied_at = None
            return
        now = time.monotonic()
        if self.completed_at is None:
            self.completed_at = now
            self.stirred.set()
        if self.is_needed:
            self.satisfied_at = None
        elif self.satisfied_at is None:
            self.satisfied_at = now
            self.stirred.set()

    def _carry_out(self, order: Action) -> None:
        match order:
            case Send(peer, message):
                if (partner := self.partners.get(peer)) is not None:
                    partner.send(message)
            case FetchManifest(peer, owner, digest):
                self.owners.learn(peer, owner, digest)
            case Drop(peer, why):
                if (partner := self.partners.get(peer)) is not None:
                    self.drop(partner, why)

    def _wake(self) -> None:
        self._alarm = None
        self.planner.on_timer(time.monotonic())
        self._plan_soon()

    def _fail(self, fault: BaseException) -> None:
        if isinstance(fault, Exception) and self.fault is None:
            self.fault = fault
        self.stirred.set()
