"""A share session: one run of ``chatctl share``, from hashing the files to the report."""

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import TracebackType
from typing import Final, Self

from chatctl.cli.config import Settings
from chatctl.cli.login import connect
from chatctl.cli.output import print_events, say
from chatctl.client import Client, PeerLeft, PeerList
from chatctl.client.groups import GroupUpdate
from chatctl.errors import ClientError
from chatctl.share import events
from chatctl.share.handshake import PeerInfo, derive_key, group_key
from chatctl.share.listener import Listener, listen
from chatctl.share.membership import Membership
from chatctl.share.options import Decision, ShareOptions, SwarmStatus, decide
from chatctl.share.report import ShareReport, make_report
from chatctl.share.storage.resume_data import RecoveredFiles, ResumeData, recover
from chatctl.share.storage.source_file import SharedFiles, hash_files
from chatctl.share.storage.store import StorageEvent, Store
from chatctl.share.swarm import REGISTRY, Swarm
from chatctl.share.view import ShareView
from common import manifest

POLL_INTERVAL: Final = 0.1
"""How often (s) a session checks for silent peers, peers to dial, and its end."""

_STRANDED_CHECK_INTERVAL: Final = 1.0
"""How long (s) without progress until the session checks whether anyone has what is missing."""


async def share(options: ShareOptions, settings: Settings, view: ShareView) -> ShareReport:
    """Share files until nothing is left to do, and return the report; cancelling ends it cleanly.

    Raises UsageError (files, directory, port), CannotConnectError, RefusedError and
    AnswerTimeoutError, all before anything was exchanged.
    """
    own = await hash_files(options.id, options.files)
    async with AsyncExitStack() as stack:

        def on_storage_event(event: StorageEvent) -> None:
            session.swarm.on_storage_event(event)

        digest = manifest.digest(manifest.encode(own.manifest))
        resume_data = ResumeData(options.out, options.group, digest)
        store = Store(
            options.out, max_size=options.max_size, emit=on_storage_event, on_added=resume_data.add
        )
        await stack.enter_async_context(store)
        recovered = await recover(await asyncio.to_thread(resume_data.load), store)
        host, timeout = "", settings.timeout
        if options.uses_server:
            client = await stack.enter_async_context(connect(settings, reconnect_for=math.inf))
            host = client.local_host
        session = ShareSession(
            options, own, store, view, host=host, timeout=timeout, recovered=recovered
        )
        await stack.enter_async_context(session)
        if options.uses_server:
            await stack.enter_async_context(follow_group(session, client))
        await session.run()
        if session.has_everything:
            await asyncio.to_thread(resume_data.delete)
    return session.make_report()


class ShareSession:
    """One peer: its swarm, its membership and its listener, and when they are done.

    It listens on `host` ("" for all addresses). `timeout` (s) applies to dialling and to silent
    peers. An earlier run received all files of the peers in `recovered`.
    """

    def __init__(
        self,
        options: ShareOptions,
        own: SharedFiles,
        store: Store,
        view: ShareView,
        *,
        host: str,
        timeout: float,
        recovered: RecoveredFiles | None = None,
    ) -> None:
        server_socket = listen(host, options.port)
        self.options = options
        self.own = own.manifest
        self._recovered = recovered or {}
        self._view = view
        self._derived_key = derive_key(options.key, options.group)
        self.swarm = Swarm(own, store, options.max_size, view.emit)
        port = server_socket.getsockname()[1]
        self.info = PeerInfo(options.id, secrets.token_hex(16), port, self.swarm.catalog.digest)
        self.membership = Membership(self.info, self.swarm, store, timeout, view.emit)
        self._listener = Listener(
            server_socket,
            REGISTRY,
            own=self.info,
            group=options.group,
            secret=group_key("", self._derived_key),
            timeout=timeout,
            on_accepted=self.membership.accept,
            on_rejected=self.membership.on_rejected,
        )
        self._began_at = time.monotonic()
        for address in options.addresses:
            self.membership.dial_queue.add("", address, self._began_at)
        self._has_announced_peers = self._has_announced_completion = self._is_interrupted = False
        self._stranded_checked_at = 0.0
        self._is_stranded = False
        view.emit(events.ListeningStarted(host or "*", port))
        if self._recovered:
            view.emit(events.EarlierRunComplete(tuple(sorted(self._recovered))))
        expected, wait = options.stop_policy.peers, options.stop_policy.wait
        if wait:
            view.emit(events.WaitingForPeers(None if expected is None else expected - 1, wait))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening, and close all connections."""
        await self._listener.close()
        self.swarm.close()

    def on_group_change(self, update: GroupUpdate, server: str) -> None:
        """Handle an update of the group from the server at the host `server`."""
        match update:
            case PeerList(peers=peers, group_secret=group_secret):
                self._listener.secret = group_key(group_secret or "", self._derived_key)
                entries = peers
            case PeerLeft(id=identity):
                self.membership.dial_queue.remove(identity)
                return
            case joined:
                entries = [joined.peer]
        self.membership.add_peers(server, entries)
        if not self.options.key:  # with a key, the server is not trusted
            for peer in entries:
                self.swarm.catalog.trust_digest(peer.id, peer.digest)

    async def run(self) -> None:
        """Exchange files until nothing is left to do, then say goodbye."""
        try:
            await self._until_done()
        except asyncio.CancelledError:
            self._is_interrupted = True
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        finally:
            await self.membership.leave()

    async def _until_done(self) -> None:
        swarm, decision = self.swarm, Decision.CONTINUE
        while decision is Decision.CONTINUE and swarm.error is None:
            swarm.changed.clear()
            now = time.monotonic()
            self.membership.check_peers(now)
            self.membership.dial(self._listener, now)
            self._view.show(
                swarm.files, self.membership.upload_meter.rate, self.membership.download_meter.rate
            )
            decision = decide(self.options.stop_policy, self._status(now), now)
            self._announce()
            if decision is Decision.CONTINUE:
                # Before Python 3.12 wait_for loses a Ctrl-C that comes together with the event.
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_INTERVAL):
                        await swarm.changed.wait()

    def _status(self, now: float) -> SwarmStatus:
        swarm = self.swarm
        return SwarmStatus(
            began_at=self._began_at,
            members=1 + len(self._members),
            pending_manifests=swarm.pending_manifests,
            completed_at=swarm.completed_at,
            is_needed=swarm.completed_at is not None
            and (swarm.is_needed or bool(swarm.lost_incomplete)),
            is_stranded=self._check_stranded(now),
            changed_at=max(swarm.changed_at, self._began_at),
            last_progress_at=max(swarm.planner.last_progress_at, self._began_at),
        )

    def _check_stranded(self, now: float) -> bool:
        """Tell whether no connected peer has what is missing; checks rarely, as it takes long."""
        planner = self.swarm.planner
        if (
            planner.is_complete
            or now - max(planner.last_progress_at, self.swarm.changed_at) < _STRANDED_CHECK_INTERVAL
        ):
            self._is_stranded = False
        elif now - self._stranded_checked_at >= _STRANDED_CHECK_INTERVAL:
            self._stranded_checked_at = now
            self._is_stranded = not any(piece.holders for piece in planner.missing())
        return self._is_stranded

    @property
    def _members(self) -> set[str]:
        """The peers that came, and after the wait, those whose files an earlier run received.

        Before that nobody can know whether these are done, or about to begin another round.
        """
        met = self.membership.seen
        has_waited = time.monotonic() - self._began_at >= self.options.stop_policy.wait
        return met | self._recovered.keys() if has_waited else met

    @property
    def has_everything(self) -> bool:
        """Whether all expected peers came, and all their files are here."""
        return self._seconds is not None and 1 + len(self._members) >= (
            self.options.stop_policy.peers or 2
        )

    def _announce(self) -> None:
        met, expected = 1 + len(self.membership.seen), self.options.stop_policy.peers
        if not self._has_announced_peers and expected is not None and met >= expected:
            self._has_announced_peers = True
            self._view.emit(events.AllPeersConnected(met))
        if self._seconds is None or not (self.has_everything or expected is None):
            self._has_announced_completion = False
        elif not self._has_announced_completion:
            self._has_announced_completion = True
            for owner in self._members - self.membership.seen:
                for file, path in self._recovered[owner]:
                    self._view.emit(events.FileReceived(owner, file.name, str(path), file.size))
            self._view.emit(events.DownloadComplete(round(self._seconds, 6)))

    @property
    def _seconds(self) -> float | None:
        """How long it took (s) from the first connection until everything was here.

        None while something is missing; 0 when an earlier run received everything and no peer came.
        """
        if not self.membership.seen and self._members:
            return 0.0
        return self._since_begin(self.swarm.completed_at)

    def _since_begin(self, ended: float | None) -> float | None:
        began = self.membership.began_at
        return None if began is None or ended is None else max(0.0, ended - began)

    def make_report(self) -> ShareReport:
        """Return the report of this session."""
        options = self.options
        return make_report(
            self.swarm,
            self.membership,
            {owner: self._recovered[owner] for owner in self._members - self.membership.seen},
            group=options.group,
            identity=options.id,
            size=self.own.size,
            directory=options.out,
            expected=options.stop_policy.peers,
            seconds=self._seconds,
            all_seconds=self._since_begin(self.swarm.all_completed_at),
            is_interrupted=self._is_interrupted,
        )


@asynccontextmanager
async def follow_group(session: ShareSession, client: Client) -> AsyncIterator[None]:
    """Join the group on the server, and pass its updates to `session` while the block runs."""
    group, info, manifest = session.options.group, session.info, session.own
    updates = client.share(group, info.id, port=info.port, size=manifest.size, digest=info.digest)
    session.on_group_change(await anext(updates), client.host)

    async def follow() -> None:
        try:
            async for item in updates:
                session.on_group_change(item, client.host)
        except ClientError as error:
            # The other peers are known by now, and need no server to exchange files.
            say(f"{error}; continuing without the server")

    tasks = [asyncio.create_task(follow()), asyncio.create_task(print_events(client))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await updates.aclose()
