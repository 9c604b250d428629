"""Listen for peers and dial them, and run the handshake of each connection, either way."""

import asyncio
import errno
import secrets
import socket
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from chatctl.client.connection import reason
from chatctl.errors import UsageError
from chatctl.share.connection import PeerConnection, remote_address
from chatctl.share.frames import Frame
from chatctl.share.handshake import Handshake, HandshakeError, Initiator, PeerInfo, Responder
from common.protocol.registry import MessageRegistry
from common.values import Address

MAX_HANDSHAKING: Final = 64
"""Connections that may be in the handshake at once; more are closed at once."""

_REJECT_TIMEOUT: Final = 1.0
"""How long (s) a rejected connection stays open, to deliver the reason."""

_BACKLOG: Final = 128

OnAccepted: TypeAlias = Callable[[PeerConnection, PeerInfo, bool], object]
"""Receives an authenticated connection, its peer, and whether this side dialled."""


class DialError(Exception):
    """No peer of the group could be reached at an address; the text says why."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on `host` ("" for all addresses of this machine).

    Port 0 means any free port. Raises UsageError.
    """
    is_dual = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if is_dual or ":" in host else socket.AF_INET
    try:
        server_socket = socket.create_server(
            (host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=is_dual
        )
    except OSError as error:
        detail = f"cannot listen on port {port}: {reason(error)}; choose another with --port"
        raise UsageError(detail) from None
    server_socket.setblocking(False)
    return server_socket


class Listener:
    """Accepts and dials connections, and passes authenticated peers of `group` to `on_accepted`.

    It calls `on_accepted` as soon as the proof arrives, before it decodes the next frame. `timeout`
    (s) applies to connecting, and then to the handshake. `on_rejected` receives the address of each
    rejected caller, and why.
    """

    def __init__(
        self,
        server_socket: socket.socket,
        registry: MessageRegistry[Any],
        *,
        own: PeerInfo,
        group: str,
        secret: bytes,
        timeout: float,
        on_accepted: OnAccepted,
        on_rejected: Callable[[Address, str], object],
    ) -> None:
        self.secret = secret
        """The current key of the group."""
        self._loop = asyncio.get_running_loop()
        self._server_socket = server_socket
        self._registry = registry
        self._own = own
        self._group = group
        self._timeout = timeout
        self._on_accepted = on_accepted
        self._on_rejected = on_rejected
        self._handshaking: set[PeerConnection] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._loop.add_reader(server_socket, self._accept)

    async def dial(self, address: Address) -> None:
        """Connect to the peer at `address` and run the handshake; raises DialError."""
        sock = await _connect(self._loop, address, self._timeout)
        outcome: asyncio.Future[str] = self._loop.create_future()
        handshake = Initiator(self._own, self._group, self.secret, secrets.token_hex(16))
        self._shake_hands(sock, handshake, outcome.set_result, dialled=True)
        if why := await asyncio.shield(outcome):
            raise DialError(why)

    async def close(self) -> None:
        """Stop listening and close unfinished handshakes; accepted connections stay open."""
        self._loop.remove_reader(self._server_socket)
        self._server_socket.close()
        for connection in list(self._handshaking):
            connection.close()
        await asyncio.gather(*self._closing)

    def _accept(self) -> None:
        try:
            sock, address = self._server_socket.accept()
        except OSError:  # the caller is gone again, or no file descriptor is left
            return
        if len(self._handshaking) >= MAX_HANDSHAKING:
            sock.close()
            return

        def report(why: str) -> None:
            if why:
                self._on_rejected(remote_address(*address[:2]), why)

        handshake = Responder(self._own, self._group, self.secret, secrets.token_hex(16))
        self._shake_hands(sock, handshake, report, dialled=False)

    def _shake_hands(
        self,
        sock: socket.socket,
        handshake: Handshake,
        report: Callable[[str], object],
        *,
        dialled: bool,
    ) -> None:
        """Run `handshake`; call `report` once with why it failed, "" for success."""

        def on_frame(frame: Frame) -> None:
            try:
                answer = handshake.receive(frame.message)
            except HandshakeError as error:
                connection.send(error.reply)
                finish(str(error))
                self._close_after_error(connection)
                return
            if answer is not None:
                connection.send(answer)
            if handshake.peer_info is not None:
                finish("")
                self._on_accepted(connection, handshake.peer_info, dialled)

        def finish(why: str) -> None:
            timer.cancel()
            connection.on_close = lambda _error: None
            self._handshaking.discard(connection)
            report(why)

        def time_out() -> None:
            finish(f"it did not complete the handshake within {self._timeout:g} s")
            connection.close()

        try:
            connection = PeerConnection(
                sock, self._registry, on_frame, lambda error: finish(f"it {error}")
            )
        except OSError as error:  # the other side is gone already
            sock.close()
            report(reason(error))
            return
        timer = self._loop.call_later(self._timeout, time_out)
        self._handshaking.add(connection)
        if (first := handshake.first_message()) is not None:
            connection.send(first)

    def _close_after_error(self, connection: PeerConnection) -> None:
        connection.on_frame = lambda _frame: None
        task = self._loop.create_task(connection.close_gracefully(_REJECT_TIMEOUT))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _connect(
    loop: asyncio.AbstractEventLoop, address: Address, time_limit: float
) -> socket.socket:
    """Connect to the first address of a host name that accepts a connection."""
    reasons: list[str] = []
    try:
        async with asyncio.timeout(time_limit):
            found = await loop.getaddrinfo(*address, type=socket.SOCK_STREAM)
            for family, kind, protocol, _, sockaddr in found:
                try:
                    return await _open(loop, socket.socket(family, kind, protocol), sockaddr)
                except OSError as error:
                    reasons.append(reason(error))
    except TimeoutError:
        reasons.append(f"no answer within {time_limit:g} s")
    except OSError as error:
        reasons.append(reason(error))
    raise DialError(" or ".join(dict.fromkeys(reasons)))


async def _open(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, sockaddr: Any
) -> socket.socket:
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, sockaddr)
        if sock.getsockname() == sock.getpeername():
            # TCP can connect a socket to its own port (simultaneous open, RFC 9293, 3.5).
            raise OSError(errno.ECONNREFUSED, "")
    except BaseException:
        sock.close()
        raise
    return sock
