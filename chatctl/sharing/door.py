"""Connections to peers, from both sides, up to the moment in which it is clear who is there."""

import asyncio
import errno
import secrets
import socket
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from chatctl.dialing import reason
from chatctl.errors import UsageError
from chatctl.sharing.handshake import Card, Dialing, Handshake, HandshakeError, Listening
from chatctl.sharing.link import Link, seen_as
from chatctl.sharing.wire import Frame
from common.addresses import Address
from common.catalogue import Catalogue

MAX_STRANGERS: Final = 64
"""Connections at once that have not come to an introduction yet; more are closed."""

_HEARING: Final = 1.0
"""How long (s) who is not let in has to hear why."""

_BACKLOG: Final = 128

Admit: TypeAlias = Callable[[Link, Card, bool], object]
"""Takes a link whose other side is known, and whether it was dialled from here."""


class NotMetError(Exception):
    """Nobody of the group was met there; the text says why."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on `host` ("" for all addresses of this machine).

    Port 0 is any that is free. Raises UsageError.
    """
    is_dual = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if is_dual or ":" in host else socket.AF_INET
    try:
        listener = socket.create_server(
            (host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=is_dual
        )
    except OSError as fault:
        detail = f"cannot listen on port {port}: {reason(fault)}; choose another with --port"
        raise UsageError(detail) from None
    listener.setblocking(False)
    return listener


class Door:
    """Accepts and dials, and hands those who prove to be of the `group` to `admit`.

    That happens in the very call that brings the proof, before the next frame is looked at.
    `within` (s) is for a connection, and then for an introduction. `refuse` hears who knocked and
    was not let in, and why.
    """

    def __init__(
        self,
        listener: socket.socket,
        catalogue: Catalogue[Any],
        *,
        own: Card,
        group: str,
        shared: bytes,
        within: float,
        admit: Admit,
        refuse: Callable[[Address, str], object],
    ) -> None:
        self.shared = shared
        """The secret of the group, as it stands."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._catalogue = catalogue
        self._own = own
        self._group = group
        self._within = within
        self._admit = admit
        self._refuse = refuse
        self._strangers: set[Link] = set()
        self._partings: set[asyncio.Task[None]] = set()
        self._loop.add_reader(listener, self._accept)

    async def dial(self, address: Address) -> None:
        """Have the peer at `address` admitted; raises NotMetError."""
        connected = await _connect(self._loop, address, self._within)
        outcome: asyncio.Future[str] = self._loop.create_future()
        handshake = Dialing(self._own, self._group, self.shared, secrets.token_hex(16))
        self._introduce(connected, handshake, outcome.set_result, dialled=True)
        if failure := await asyncio.shield(outcome):
            raise NotMetError(failure)

    async def close(self) -> None:
        """Let nobody in any more; who is in stays."""
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for link in list(self._strangers):
            link.close()
        await asyncio.gather(*self._partings)

    def _accept(self) -> None:
        try:
            connected, address = self._listener.accept()
        except OSError:  # it is gone again, or no descriptor is left
            return
        if len(self._strangers) >= MAX_STRANGERS:
            connected.close()
            return

        def tell(failure: str) -> None:
            if failure:
                self._refuse(seen_as(*address[:2]), failure)

        handshake = Listening(self._own, self._group, self.shared, secrets.token_hex(16))
        self._introduce(connected, handshake, tell, dialled=False)

    def _introduce(
        self,
        connected: socket.socket,
        handshake: Handshake,
        tell: Callable[[str], object],
        *,
        dialled: bool,
    ) -> None:
        """Go through `handshake`; `tell` hears once how it ended, "" for well."""

        def hear(frame: Frame) -> None:
            try:
                answer = handshake.take(frame.message)
            except HandshakeError as refusal:
                link.send(refusal.error)
                settle(str(refusal))
                self._part(link)
                return
            if answer is not None:
                link.send(answer)
            if handshake.peer is not None:
                settle("")
                self._admit(link, handshake.peer, dialled)

        def settle(failure: str) -> None:
            timer.cancel()
            link.lose = lambda _fault: None
            self._strangers.discard(link)
            tell(failure)

        def time_out() -> None:
            settle(f"it did not introduce itself within {self._within:g} s")
            link.close()

        try:
            link = Link(connected, self._catalogue, hear, lambda fault: settle(f"it {fault}"))
        except OSError as fault:  # it is gone already
            connected.close()
            tell(reason(fault))
            return
        timer = self._loop.call_later(self._within, time_out)
        self._strangers.add(link)
        if (first := handshake.begin()) is not None:
            link.send(first)

    def _part(self, link: Link) -> None:
        link.hear = lambda _frame: None
        task = self._loop.create_task(link.finish(_HEARING))
        self._partings.add(task)
        task.add_done_callback(self._partings.discard)


async def _connect(
    loop: asyncio.AbstractEventLoop, address: Address, within: float
) -> socket.socket:
    """Return a connection to the first of the addresses behind a name that takes one."""
    failures: list[str] = []
    try:
        async with asyncio.timeout(within):
            found = await loop.getaddrinfo(*address, type=socket.SOCK_STREAM)
            for family, kind, protocol, _, where in found:
                try:
                    return await _open(loop, socket.socket(family, kind, protocol), where)
                except OSError as fault:
                    failures.append(reason(fault))
    except TimeoutError:
        failures.append(f"nothing answered within {within:g} s")
    except OSError as fault:
        failures.append(reason(fault))
    raise NotMetError(" or ".join(dict.fromkeys(failures)))


async def _open(
    loop: asyncio.AbstractEventLoop, opened: socket.socket, where: Any
) -> socket.socket:
    try:
        opened.setblocking(False)
        await loop.sock_connect(opened, where)
        if opened.getsockname() == opened.getpeername():
            # TCP connects a socket to its own port if nobody listens (RFC 9293, 3.5).
            raise OSError(errno.ECONNREFUSED, "")
    except BaseException:
        opened.close()
        raise
    return opened
