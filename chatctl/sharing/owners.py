"""Whose files there are, under which manifest, and whom to ask for one; no sockets."""

from collections import defaultdict
from typing import NamedTuple

from common import pieces
from common.pieces import InvalidManifestError, Manifest


class Question(NamedTuple):
    """Whom to ask for the manifest of which owner."""

    peer: str
    owner: str


class Owners:
    """The manifests that are here, and those that can be had.

    A manifest is taken from anyone who has it, but only where its digest is known from its owner,
    who has proven it, or from the server.
    """

    def __init__(self, own: Manifest, max_size: int) -> None:
        encoded = pieces.encode(own)
        self.digest = pieces.digest(encoded)
        """By which others know the files of this peer."""
        self.refused: dict[str, str] = {}
        """Whose files are not taken, and why."""
        self._max_size = max_size
        self._encoded = {own.owner: encoded}
        self._digests = {own.owner: self.digest}
        self._tellers: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._asked: dict[str, str] = {}

    def encoded(self, owner: str) -> bytes | None:
        """Return the manifest of `owner` as it crosses the wire, None when it is not here."""
        return self._encoded.get(owner)

    def digest_of(self, owner: str) -> str:
        """Return by what the manifest of `owner` is known; raises KeyError."""
        return self._digests[owner]

    def is_awaited(self, owner: str) -> bool:
        """Tell whether the manifest of `owner` is neither here nor refused."""
        return owner not in self._encoded and owner not in self.refused

    def trust(self, owner: str, digest: str) -> None:
        """Note the digest of the files of `owner`; that of a manifest that is here stays."""
        if self.is_awaited(owner):
            self._digests[owner] = digest

    def learn(self, peer: str, owner: str, digest: str) -> None:
        """Note that a linked `peer` knows a manifest of `owner`."""
        self._tellers[owner][peer] = digest

    def leave(self, peer: str) -> None:
        """Ask others for what `peer` was asked for."""
        for tellers in self._tellers.values():
            tellers.pop(peer, None)
        for owner in [owner for owner, asked in self._asked.items() if asked == peer]:
            del self._asked[owner]

    def questions(self) -> list[Question]:
        """Return what is to be asked now, and count it as asked."""
        questions = []
        for owner, tellers in self._tellers.items():
            if owner in self._asked or not self.is_awaited(owner):
                continue
            digest = self._digests.get(owner)
            able = [peer for peer, told in tellers.items() if told == digest]
            if able:
                self._asked[owner] = owner if owner in able else able[0]
                questions.append(Question(self._asked[owner], owner))
        return questions

    def was_asked(self, peer: str, owner: str) -> bool:
        """Tell whether `peer` owes the manifest of `owner`."""
        return self._asked.get(owner) == peer

    def take(self, owner: str, encoded: bytes) -> Manifest:
        """Return the manifest that came as `encoded`, and keep it.

        Raises ValueError when it is not the one that was asked for, InvalidManifestError when
        nobody can use it; the files of that owner are then refused.
        """
        self._asked.pop(owner, None)
        if pieces.digest(encoded) != self._digests[owner]:
            raise ValueError(f"sent a manifest of {owner} that is not the one it announced")
        try:
            manifest = pieces.decode(encoded, self._max_size)
            if manifest.owner != owner:
                raise InvalidManifestError(f"it says that its owner is {manifest.owner!r}")
        except InvalidManifestError as fault:
            self.refused[owner] = str(fault)
            raise
        self._encoded[owner] = encoded
        return manifest

    def refuse(self, owner: str, why: str) -> None:
        """Take back a manifest whose files cannot be kept."""
        self._encoded.pop(owner, None)
        self.refused[owner] = why
