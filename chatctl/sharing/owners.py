"""Whose files there are, under which manifest, and whom to ask for one; no sockets."""

from collections import defaultdict
from typing import NamedTuple

from common import pieces
from common.pieces import InvalidManifestError, Manifest


class ManifestQuery(NamedTuple):
    """Whom to ask for the manifest of which owner."""

    peer_id: str
    owner: str


class ManifestCatalog:
    """The manifests that are here, and those that can be had.

    A manifest is taken from anyone who has it, but only where its digest is known from its owner,
    who has proven it, or from the server.
    """

    def __init__(self, own: Manifest, max_size: int) -> None:
        encoded = pieces.encode(own)
        self.digest = pieces.digest(encoded)
        """By which others know the files of this peer."""
        self.rejected: dict[str, str] = {}
        """Whose files are not taken, and why."""
        self._max_size = max_size
        self._encoded = {own.owner: encoded}
        self._digests = {own.owner: self.digest}
        self._announcers: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._requested: dict[str, str] = {}

    def encoded(self, owner: str) -> bytes | None:
        """Return the manifest of `owner` as it crosses the wire, None when it is not here."""
        return self._encoded.get(owner)

    def digest_of(self, owner: str) -> str:
        """Return by what the manifest of `owner` is known; raises KeyError."""
        return self._digests[owner]

    def is_pending(self, owner: str) -> bool:
        """Tell whether the manifest of `owner` is neither here nor refused."""
        return owner not in self._encoded and owner not in self.rejected

    def trust_digest(self, owner: str, digest: str) -> None:
        """Note the digest of the files of `owner`; that of a manifest that is here stays."""
        if self.is_pending(owner):
            self._digests[owner] = digest

    def add_announcer(self, peer_id: str, owner: str, digest: str) -> None:
        """Note that a connected `peer_id` knows a manifest of `owner`."""
        self._announcers[owner][peer_id] = digest

    def remove_peer(self, peer_id: str) -> None:
        """Ask others for what `peer_id` was asked for."""
        for announcers in self._announcers.values():
            announcers.pop(peer_id, None)
        for owner in [
            owner for owner, requested in self._requested.items() if requested == peer_id
        ]:
            del self._requested[owner]

    def queries(self) -> list[ManifestQuery]:
        """Return what is to be asked now, and count it as asked."""
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
        """Tell whether `peer_id` owes the manifest of `owner`."""
        return self._requested.get(owner) == peer_id

    def receive(self, owner: str, encoded: bytes) -> Manifest:
        """Return the manifest that came as `encoded`, and keep it.

        Raises ValueError when it is not the one that was asked for, InvalidManifestError when
        nobody can use it; the files of that owner are then refused.
        """
        self._requested.pop(owner, None)
        if pieces.digest(encoded) != self._digests[owner]:
            raise ValueError(f"sent a manifest of {owner} that is not the one it announced")
        try:
            manifest = pieces.decode(encoded, self._max_size)
            if manifest.owner != owner:
                raise InvalidManifestError(f"it says that its owner is {manifest.owner!r}")
        except InvalidManifestError as error:
            self.rejected[owner] = str(error)
            raise
        self._encoded[owner] = encoded
        return manifest

    def reject(self, owner: str, why: str) -> None:
        """Take back a manifest whose files cannot be kept."""
        self._encoded.pop(owner, None)
        self.rejected[owner] = why
