"""Manifests on their way: sent to those who ask, and taken into the store when they come."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from chatctl.sharing import events
from chatctl.sharing.files import Files
from chatctl.sharing.owners import Owners
from chatctl.sharing.partner import Partner
from chatctl.sharing.store import Store
from chatctl.sharing.wire import WireError
from common.messages.introduction import GetManifest, ManifestHeader, RejectFiles
from common.pieces import InvalidManifestError, Layout, Manifest, PieceSet

Know: TypeAlias = Callable[[str, Layout, PieceSet], object]
"""Hears whose files are known from now on, how they are cut, and which pieces are here."""

_LONGEST: Final = 1_000


class Describing:
    """Keeps `owners` and `files` up to date.

    `fail` hears what keeps the files of an owner from being stored, `tell` what people should know.
    """

    def __init__(
        self,
        owners: Owners,
        files: Files,
        store: Store,
        *,
        know: Know,
        fail: Callable[[Exception], object],
        tell: Callable[[events.Event], object],
    ) -> None:
        self._owners = owners
        self._files = files
        self._store = store
        self._know = know
        self._fail = fail
        self._tell = tell
        self._adding: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many manifests are being taken in."""
        return len(self._adding)

    def ask(self, partners: Mapping[str, Partner]) -> None:
        """Ask for the manifests that somebody among `partners` has and that are not here."""
        for peer, owner in self._owners.questions():
            partners[peer].link.send(GetManifest(owner))

    def answer(self, partner: Partner, owner: str) -> None:
        """Send a manifest to a partner, once; raises WireError."""
        encoded = self._owners.encoded(owner)
        if encoded is None or owner in partner.described:
            raise WireError(f"asks for the manifest of {owner} again, or for one that is not here")
        partner.described.add(owner)
        partner.link.send(ManifestHeader(owner, len(encoded)), encoded)

    def take(self, partner: Partner, owner: str, raw: bytearray | None) -> None:
        """Take a manifest, or its header, from a partner; raises WireError."""
        if not self._owners.was_asked(partner.id, owner):
            raise WireError(f"sent a manifest of {owner} that it was not asked for")
        if raw is None:
            return
        try:
            manifest = self._owners.take(owner, bytes(raw))
        except InvalidManifestError as fault:
            self._decline(partner, owner, str(fault))
        except ValueError as fault:
            raise WireError(str(fault)) from None
        else:
            task = asyncio.create_task(self._add(partner, manifest))
            self._adding.add(task)
            task.add_done_callback(self._adding.discard)

    def close(self) -> None:
        """Take in no more."""
        for task in self._adding:
            task.cancel()

    async def _add(self, partner: Partner, manifest: Manifest) -> None:
        owner = manifest.owner
        layout = self._files.add(manifest)
        try:
            held = await self._store.add(manifest)
        except InvalidManifestError as fault:
            self._files.forget(owner)
            self._owners.refuse(owner, str(fault))
            self._decline(partner, owner, str(fault))
        except Exception as fault:
            self._fail(fault)
        else:
            self._files.find(owner, held)
            self._know(owner, layout, held)

    def _decline(self, partner: Partner, owner: str, why: str) -> None:
        self._tell(events.NotTaken(owner, why))
        if owner == partner.id:
            partner.link.send(RejectFiles(why[:_LONGEST]))
