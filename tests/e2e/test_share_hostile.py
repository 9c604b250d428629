"""``chatctl share`` among hostile peers: corrupt pieces, false manifests, no key, silence."""

from pathlib import Path
from typing import Final

import pytest
from msgspec import structs

from chatctl.share.events import ConnectionRejected
from chatctl.share.storage.source_file import SharedFiles
from tests.support.daemon_process import Daemon, RawClient
from tests.support.share_peers import StartShare, lying, make_file, renamed, running_fake_peer

SECRET: Final = ("--key", "sesame")
LONG: Final = ("--wait", "1h")
"""A peer that waits so long for others still waits at the end of a test."""


async def test_a_sender_of_wrong_pieces_is_dropped_and_the_rest_comes_from_others(
    start_share: StartShare, tmp_path: Path
) -> None:
    file = make_file(tmp_path, "large", 20)
    async with (
        running_fake_peer(tmp_path, "9", file, key="sesame") as owner,
        running_fake_peer(
            tmp_path, "8", key="sesame", meets=[owner.address], prepare=lying
        ) as liar,
    ):
        await liar.until(
            lambda: liar.session.swarm.is_complete and liar.session.swarm.files.of("9")
        )
        one = await start_share("1", "--peers", "3", *SECRET, "--peer", liar.address)
        assert await one.end() == 0, await one.stderr()
        (dropped,) = one.events_of("dropped")
        assert dropped["id"] == "8"
        assert "sent a piece of 9 with the wrong digest" in dropped["why"]
        assert one.received() == {"9_large": file.read_bytes()}
        exit_reasons = {peer["id"]: peer["fate"] for peer in one.report["peers"]}
        assert exit_reasons["8"].startswith("dropped")


async def test_a_lying_owner_cannot_pass_off_another_file(
    start_share: StartShare, tmp_path: Path
) -> None:
    file = make_file(tmp_path, "large", 3)
    async with running_fake_peer(tmp_path, "9", file, key="sesame", prepare=lying) as liar:
        one = await start_share("1", "--peers", "2", *LONG, *SECRET, "--peer", liar.address)
        assert (await one.wait_for("dropped"))["id"] == "9"
        assert await one.interrupt() == 130
        assert "large" not in "".join(one.finished())


@pytest.mark.parametrize(
    ("name", "kept_as"),
    [
        ("../../outside", "outside"),
        ("/etc/passwd", "passwd"),
        (".bashrc", "bashrc"),
        ("a\u202egpj.exe\n", "exe"),
    ],
)
async def test_a_path_traversal_in_a_file_name_has_no_effect(
    start_share: StartShare, tmp_path: Path, name: str, kept_as: str
) -> None:
    file = make_file(tmp_path, "innocent", 1)
    async with running_fake_peer(tmp_path, "9", file, key="sesame", change=renamed(name)) as eve:
        one = await start_share("1", "--peers", "2", *SECRET, "--peer", eve.address)
        assert await one.end() == 0, await one.stderr()
    (kept,) = one.received()
    assert kept.startswith("9_")
    assert kept.endswith(kept_as)
    assert kept.isprintable()
    assert {path.name for path in one.directory.iterdir()} == {"received"}


async def test_a_file_that_is_too_large_is_rejected_before_it_is_created(
    start_share: StartShare, tmp_path: Path
) -> None:
    file = make_file(tmp_path, "innocent", 1)
    async with running_fake_peer(tmp_path, "9", file, key="sesame", change=enormous) as eve:
        wanted = ("--peers", "2", "--max-size", "1MiB", *SECRET, "--peer", eve.address)
        one = await start_share("1", *wanted, mine=b"1")
        assert await one.end() == 7
        (rejected,) = one.events_of("not_taken")
        assert rejected["owner"] == "9"
        assert "more than the 1048576" in rejected["why"]
        assert one.received() == {}
        await eve.until(
            lambda: eve.session.swarm.files.is_settled and eve.session.swarm.files.of("1")
        )


@pytest.mark.parametrize(
    ("own", "other"), [(("--key", "open"), "sesame"), (("--key", "sesame"), ""), ((), "sesame")]
)
async def test_without_the_key_nobody_is_served(
    start_share: StartShare, tmp_path: Path, own: tuple[str, ...], other: str
) -> None:
    file = make_file(tmp_path, "secret", 1)
    async with running_fake_peer(tmp_path, "9", file, key=other) as fake_peer:
        one = await start_share("1", "--peers", "2", *LONG, *own, "--peer", fake_peer.address)
        await one.wait_for("out_of_reach")
        assert await one.interrupt() == 130
        assert one.report["peers"] == []
        assert one.received() == {}
        assert fake_peer.session.membership.seen == set()
        assert [event for event in fake_peer.events if isinstance(event, ConnectionRejected)]


async def test_without_the_secret_of_the_server_nobody_is_served(
    daemon: Daemon, start_share: StartShare, tmp_path: Path
) -> None:
    file = make_file(tmp_path, "secret", 1)
    async with running_fake_peer(tmp_path, "9", file) as outsider:
        one = await start_share("1", "--peers", "2", daemon=daemon, mine=b"1")
        port = (await one.wait_for("listening"))["port"]
        outsider.dial(f"127.0.0.1:{port}")
        turned_away = await one.wait_for("turned_away")
        assert "your --key or group secret" in turned_away["why"]
        assert await one.interrupt() == 130
        assert one.events_of("met") == []
        assert outsider.session.membership.seen == set()


async def test_the_server_cannot_join_a_group_that_has_a_key(
    daemon: Daemon, start_share: StartShare, tmp_path: Path
) -> None:
    async with running_fake_peer(tmp_path, "9", daemon=daemon) as spy:
        one = await start_share("1", "--peers", "2", *LONG, *SECRET, daemon=daemon, mine=b"1")
        await one.wait_for("out_of_reach")
        assert await one.interrupt() == 130
        assert one.events_of("met") == []
        assert spy.session.membership.seen == set()


async def test_a_peer_that_falls_silent_is_disconnected_and_the_rest_comes_from_others(
    start_share: StartShare, tmp_path: Path
) -> None:
    file = make_file(tmp_path, "large", 20)
    async with (
        running_fake_peer(tmp_path, "9", file, key="sesame") as owner,
        running_fake_peer(tmp_path, "8", key="sesame", meets=[owner.address]) as mute,
    ):
        await mute.until(
            lambda: mute.session.swarm.is_complete and mute.session.swarm.files.of("9")
        )
        owner.store.opened = mute.store.opened = 0
        wanted = ("--peers", "3", "--timeout", "4s", *SECRET, "--peer", mute.address)
        one = await start_share("1", *wanted)
        await mute.until(lambda: mute.store.asked)
        mute.silence("1")
        owner.store.open()
        assert await one.end() == 0, await one.stderr()
        assert one.received() == {"9_large": file.read_bytes()}


async def test_a_taken_id_is_rejected_with_advice(daemon: Daemon, start_share: StartShare) -> None:
    with RawClient(daemon.address) as wire:
        wire.ask("share", group="run", id="1", port=4000, size=5, digest="d", ref="r")
        one = await start_share("1", daemon=daemon)
        assert await one.end() == 4
        assert "the id 1 is taken in this group; try 1-2" in await one.stderr()


async def test_an_unreachable_peer_is_named_with_the_reason(
    daemon: Daemon, start_share: StartShare
) -> None:
    with RawClient(daemon.address) as wire:
        wire.ask("share", group="gone", id="2", port=1, size=5, digest="d", ref="r")
        one = await start_share("1", "--group", "gone", *LONG, "--peers", "2", daemon=daemon)
        assert await one.wait_for("out_of_reach") == {
            "code": "out_of_reach",
            "who": "peer 2",
            "address": "127.0.0.1:1",
            "why": "connection refused",
        }
        assert await one.interrupt() == 130
        assert one.report["shortfalls"] == [
            "nobody else came",
            "peer 2 could not be reached at 127.0.0.1:1: connection refused",
        ]


def enormous(own: SharedFiles) -> SharedFiles:
    """Say that a file has 2 GiB."""
    (file,) = own.manifest.files
    manifest = structs.replace(own.manifest, files=(structs.replace(file, size=2**31),))
    return structs.replace(own, manifest=manifest)
