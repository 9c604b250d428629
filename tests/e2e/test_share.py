"""``chatctl share``: real processes swap files, stop, are killed, and resume."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from bitarray import bitarray

from common.manifest import PIECE_SIZE
from tests.support import chatctl_process
from tests.support.daemon_process import Daemon, RawClient
from tests.support.share_peers import (
    LOCAL,
    TIMEOUT,
    FakePeer,
    ShareProcess,
    StartShare,
    make_file,
    never_writing,
    opened,
    running_fake_peer,
)

SECRET: Final = ("--key", "sesame")
WANTED: Final = ("--peers", "2", *SECRET)
LONG: Final = ("--wait", "1h")
"""A peer that waits so long for others still waits at the end of a test."""


@asynccontextmanager
async def running_owner(tmp_path: Path) -> AsyncIterator[tuple[FakePeer, Path]]:
    """Run the fake peer "9" with a file of 30 pieces, of which it sends only 20 at first."""
    file = make_file(tmp_path, "large", 30)
    async with running_fake_peer(
        tmp_path, "9", file, key="sesame", prepare=opened(20)
    ) as fake_peer:
        yield fake_peer, file


async def test_three_peers_swap_unequal_files_of_the_same_name_and_empty_ones(
    daemon: Daemon, start_share: StartShare
) -> None:
    files = {"1": os.urandom(7 * PIECE_SIZE + 1), "2": os.urandom(300), "3": b""}
    peers = [
        await start_share(identity, "--peers", "3", daemon=daemon, data=content)
        for identity, content in files.items()
    ]
    for identity, peer in zip(files, peers, strict=True):
        assert await peer.end() == 0, await peer.stderr()
        expected = {f"{each}_data": content for each, content in files.items() if each != identity}
        assert peer.received() == expected
        report = peer.report
        assert report["shortfalls"] == []
        assert [each["held"] for each in report["peers"]] == list(map(len, expected.values()))
        assert report["seconds"] > 0
        assert report["all_seconds"] >= report["seconds"]
        assert report["ratio"] == pytest.approx(report["all_seconds"] / report["least_seconds"])
        assert peer.events_of("introduced") == [{"code": "introduced", "peers": 3}]
        assert len(peer.events_of("complete")) == 1


async def test_five_peers_swap_files(daemon: Daemon, start_share: StartShare) -> None:
    files = {str(number): os.urandom(number * 20_000) for number in range(5)}
    group = ("--group", "five", "--peers", "5")
    peers = [
        await start_share(identity, *group, daemon=daemon, data=content)
        for identity, content in files.items()
    ]
    assert await asyncio.gather(*(peer.end() for peer in peers)) == [0] * 5
    for identity, peer in zip(files, peers, strict=True):
        assert peer.received() == {
            f"{each}_data": content for each, content in files.items() if each != identity
        }


async def test_without_a_number_of_peers_it_ends_after_the_wait(
    start_share: StartShare, tmp_path: Path
) -> None:
    file = make_file(tmp_path, "file", 1)
    async with running_fake_peer(tmp_path, "9", file, key="sesame") as fake_peer:
        address = ("--peer", fake_peer.address)
        one = await start_share("1", "--wait", "2s", *SECRET, *address, file=b"1")
        assert await one.end() == 0, await one.stderr()
        assert one.received() == {"9_file": file.read_bytes()}
        assert fake_peer.session.swarm.is_complete


async def test_without_other_peers_it_exits_with_7(daemon: Daemon, start_share: StartShare) -> None:
    one = await start_share("1", "--group", "lonely", "--wait", "0.1s", daemon=daemon, file=b"1")
    assert await one.end() == 7
    assert one.report["shortfalls"] == ["nobody else came"]
    assert "nobody else came" in await one.stderr()


async def test_without_a_server_peers_find_each_other_through_one_that_all_know(
    start_share: StartShare,
) -> None:
    wanted = ("--peers", "3", *SECRET)
    hub = await start_share("1", *wanted, "--peer", "none", file=b"1")
    port = (await hub.wait_for("listening"))["port"]
    others = [
        await start_share(name, *wanted, "--peer", f"{LOCAL}:{port}", file=b"x") for name in "23"
    ]
    assert [await peer.end() for peer in (hub, *others)] == [0, 0, 0]
    assert others[0].received() == {"1_file": b"1", "3_file": b"x"}


async def test_the_server_may_stop_once_the_peers_are_connected(
    start: Callable[..., Daemon], start_share: StartShare, tmp_path: Path
) -> None:
    daemon = start()
    held_back = make_file(tmp_path, "held_back", 10)
    async with running_fake_peer(
        tmp_path, "3", held_back, daemon=daemon, prepare=opened(2)
    ) as fake_peer:
        peers = [await start_share(name, "--peers", "3", daemon=daemon, data=b"x") for name in "12"]
        for peer in peers:
            await peer.wait_for("introduced")
        daemon.kill()
        assert peers[0].events_of("complete") == []
        fake_peer.store.open()
        assert [await peer.end() for peer in peers] == [0, 0]
        assert peers[0].received()["3_held_back"] == held_back.read_bytes()


async def test_a_killed_peer_continues_and_fetches_nothing_twice(
    start_share: StartShare, tmp_path: Path
) -> None:
    async with running_owner(tmp_path) as (fake_peer, file):
        wanted = ("--peer", fake_peer.address, "--peers", "2", *SECRET)
        before = await start_share("1", *wanted)
        await fake_peer.until(lambda: len(fake_peer.store.asked) > 20)
        await before.wait_for_pieces(20)
        await before.kill()
        await fake_peer.until(lambda: not fake_peer.session.swarm.peers)
        had = set(fake_peer.store.asked[:20])
        fake_peer.store.asked.clear()
        fake_peer.store.open()
        after = await start_share("1", *wanted)
        assert await after.end() == 0, await after.stderr()
        assert after.received() == {"9_large": file.read_bytes()}
        assert had.isdisjoint(fake_peer.store.asked)
        assert after.report["received"] == 10 * PIECE_SIZE


async def test_a_complete_peer_waits_for_one_that_was_killed_before_it_was(
    start_share: StartShare, tmp_path: Path
) -> None:
    wanted = ("--peers", "2", *SECRET)
    async with running_fake_peer(tmp_path, "9", key="sesame", prepare=never_writing) as fake_peer:
        one = await start_share("1", *wanted, "--peer", fake_peer.address, file=b"1")
        port = (await one.wait_for("listening"))["port"]
        await one.wait_for("complete")
        await fake_peer.vanish()
    await one.wait_for("parted", id="9")
    again = await start_share("9", *wanted, "--peer", f"{LOCAL}:{port}")
    assert [await peer.end() for peer in (one, again)] == [0, 0]
    assert again.received() == {"1_file": b"1"}


async def test_when_a_peer_leaves_the_missing_pieces_are_named(
    start_share: StartShare, tmp_path: Path
) -> None:
    async with running_owner(tmp_path) as (fake_peer, _):
        wanted = ("--peers", "2", "--wait", "2s", *SECRET, "--peer", fake_peer.address)
        one = await start_share("1", *wanted)
        await fake_peer.until(lambda: len(fake_peer.store.asked) > 20)
        await one.wait_for_pieces(20)
    assert await one.end() == 7
    (missing,) = one.report["shortfalls"]
    assert missing == "10 pieces of 9 are missing (large); no connected peer has them"
    assert one.report["seconds"] is None
    assert one.events_of("parted") == [{"code": "parted", "id": "9", "why": "left"}]


async def test_pieces_of_a_peer_that_left_come_from_others(
    start_share: StartShare, tmp_path: Path
) -> None:
    file = make_file(tmp_path, "large", 10)
    async with running_fake_peer(tmp_path, "9", file, key="sesame") as owner:
        helper_meets = [owner.address]
        async with running_fake_peer(tmp_path, "8", key="sesame", meets=helper_meets) as helper:
            await helper.until(
                lambda: helper.session.swarm.is_complete and helper.session.membership.seen
            )
            helper.store.opened = 0
            owner.store.opened = 3
            wanted = ("--peers", "3", *SECRET, "--peer", helper.address)
            one = await start_share("1", *wanted)
            await one.wait_for("introduced")
            await owner.until(lambda: len(owner.store.asked) > 3)
            await owner.leave()
            helper.store.open()
            assert await one.end() == 0, await one.stderr()
            assert one.received() == {"9_large": file.read_bytes()}


async def test_ctrl_c_ends_a_share_with_a_goodbye_and_a_report(
    start_share: StartShare, tmp_path: Path
) -> None:
    async with running_owner(tmp_path) as (fake_peer, _):
        one = await start_share("1", "--peers", "2", *SECRET, "--peer", fake_peer.address)
        await fake_peer.until(lambda: len(fake_peer.store.asked) > 20)
        assert await one.interrupt() == 130
        assert one.report["is_interrupted"]
        await fake_peer.until(lambda: "1" in fake_peer.session.swarm.exit_reasons)
        assert fake_peer.session.swarm.exit_reasons["1"] == "left"


async def test_ctrl_c_together_with_another_event_is_not_lost(
    tmp_path: Path,
) -> None:
    async with running_fake_peer(tmp_path, "9", key="sesame") as fake_peer:
        for _ in range(10):
            await asyncio.sleep(0)  # until it waits for what happens
        fake_peer.session.swarm.changed.set()
        fake_peer.running.cancel()
        done, _ = await asyncio.wait([fake_peer.running], timeout=TIMEOUT)
        assert done == {fake_peer.running}


async def test_a_timestamp_exchange_shares_its_file_when_it_is_over(
    daemon: Daemon, start_share: StartShare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    group = ("--peers", "2", "--json")
    wanted = ("--id", "1", "--duration", "0.1s", "--share", "stamps", *group)
    exchange = await asyncio.to_thread(chatctl_process.begin, "timestamp", *wanted, daemon=daemon)
    two = await start_share("2", "--group", "stamps", *group, daemon=daemon, mine=b"2")
    assert await two.end() == 0, await two.stderr()
    done = await asyncio.to_thread(chatctl_process.finish, exchange)
    assert done.code == 0, done.err
    file = await asyncio.to_thread((tmp_path / "client_1_TimeData.txt").read_bytes)
    assert two.received() == {"1_client_1_TimeData.txt": file}
    assert file.endswith(b"End of Timestamp Data (after 0.1 seconds)\n")
    last = json.loads(done.out.splitlines()[-1])
    assert [peer["id"] for peer in last["peers"]] == ["2"]


async def test_the_peers_of_a_group_are_listed(daemon: Daemon) -> None:
    listing = ("share", "--group", "listed", "--list")
    assert await asyncio.to_thread(partial(chatctl_process.run, *listing, daemon=daemon)) == (
        0,
        "",
        "",
    )
    with RawClient(daemon.address) as wire:
        wire.ask("share", group="listed", id="1", port=4000, size=5, digest="d", ref="r")
        shown = await asyncio.to_thread(partial(chatctl_process.run, *listing, daemon=daemon))
        assert shown == (0, "1  127.0.0.1:4000  5 bytes\n", "")
        shown = await asyncio.to_thread(
            partial(chatctl_process.run, *listing, "--json", daemon=daemon)
        )
        assert json.loads(shown.out) == {
            "id": "1",
            "host": "127.0.0.1",
            "port": 4000,
            "size": 5,
            "digest": "d",
        }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--id", "../1"], "an id must not contain /"),
        (["--group", "x" * 65], "not 1 to 64 characters"),
        (["--peers", "1"], "from 2 to 1000"),
        (["--max-size", "much"], "is not a size"),
        (["--peer", "a b"], "is not an address"),
        (["no such file"], "cannot share no such file: no such file or directory"),
        (["."], "a directory"),
    ],
)
def test_wrong_usage_is_explained_with_code_2(
    daemon: Daemon, arguments: list[str], told: str
) -> None:
    rejected = chatctl_process.run("share", "--group", "run", *arguments, daemon=daemon)
    assert rejected.code == 2
    assert told in rejected.err


def test_without_a_server_it_exits_with_3() -> None:
    rejected = chatctl_process.run("share", "--group", "run", "--server", "127.0.0.1:1")
    assert rejected.code == 3
    assert "is chatd running there?" in rejected.err


async def killed(start_share: StartShare, address: str) -> ShareProcess:
    """Return a peer that was killed when 20 of the 30 pieces of a file were here."""
    peer = await start_share("1", *WANTED, *LONG, "--peer", address, mine=b"1")
    await peer.wait_for_pieces(20)
    await peer.kill()
    return peer


async def left_alone(start_share: StartShare, tmp_path: Path) -> tuple[bytes, str]:
    """Have a peer killed when it has all of a file; return that, and where its owner was."""
    async with running_owner(tmp_path) as (fake_peer, file):
        before = await killed(start_share, fake_peer.address)
    content = await asyncio.to_thread(file.read_bytes)
    write_the_rest(before.directory / "received", content)
    return content, fake_peer.address


def write_the_rest(directory: Path, content: bytes) -> None:
    """Do what a peer does until it gives the file its name."""
    (part,) = directory.glob("*.part")
    part.write_bytes(content)
    bitmap = part.with_name(f"{part.name}.map")
    title = bitmap.read_bytes().partition(b"\n")[0]
    bitmap.write_bytes(title + b"\n" + (~bitarray(30)).tobytes())


async def test_a_peer_killed_with_all_pieces_finishes_its_files_alone(
    start_share: StartShare, tmp_path: Path
) -> None:
    content, address = await left_alone(start_share, tmp_path)

    after = await start_share("1", *WANTED, "--wait", "0s", "--peer", address, mine=b"1")

    assert await after.end() == 0, await after.stderr()
    assert after.events_of("recovered") == [{"code": "recovered", "peers": ["9"]}]
    assert after.received() == {"9_large": content}
    assert after.finished() == ["received/9_large"]
    assert after.events_of("complete") == [{"code": "complete", "seconds": 0.0}]
    (peer,) = after.report["peers"]
    assert (peer["id"], peer["held"], peer["received"]) == ("9", 30 * 65_536, 0)
    assert after.report["shortfalls"] == []


async def test_it_serves_a_late_peer_during_seed_after(
    start_share: StartShare, tmp_path: Path
) -> None:
    content, address = await left_alone(start_share, tmp_path)

    stays = ("--wait", "0s", "--seed-after", "1h")
    after = await start_share("1", *WANTED, *stays, "--peer", address, mine=b"1")

    port = (await after.wait_for("listening"))["port"]
    await after.wait_for("complete")
    late = await start_share("9", *WANTED, *LONG, "--peer", f"127.0.0.1:{port}", large=content)
    assert await late.end() == 0, await late.stderr()
    assert late.received() == {"1_mine": b"1"}


async def test_it_takes_part_in_another_round_that_begins_while_it_waits(
    start_share: StartShare, tmp_path: Path
) -> None:
    content, address = await left_alone(start_share, tmp_path)

    after = await start_share("1", *WANTED, *LONG, "--peer", address, mine=b"1")
    await after.wait_for("out_of_reach")
    port = (await after.wait_for("listening"))["port"]
    other = await start_share("9", *WANTED, *LONG, "--peer", f"127.0.0.1:{port}", other=b"of today")

    assert await after.end() == 0, await after.stderr()
    assert await other.end() == 0, await other.stderr()
    assert after.received() == {"9_large": content, "9_other": b"of today"}
    assert after.finished() == ["received/9_other"]


async def test_a_peer_that_is_still_connected_is_served_first(
    daemon: Daemon, start_share: StartShare, tmp_path: Path
) -> None:
    async with running_owner(tmp_path) as (fake_peer, file):
        before = await killed(start_share, fake_peer.address)
        write_the_rest(before.directory / "received", file.read_bytes())
        fake_peer.store.open()
        after = await start_share("1", *WANTED, *LONG, "--peer", fake_peer.address, mine=b"1")
        assert await after.end() == 0, await after.stderr()
        assert fake_peer.session.swarm.is_complete
    assert after.events_of("met")


async def test_a_peer_that_shares_other_files_takes_part_in_another_exchange(
    start_share: StartShare, tmp_path: Path
) -> None:
    _, address = await left_alone(start_share, tmp_path)

    for changed in (b"other", b"mine, and changed"):
        after = await start_share("1", *WANTED, "--wait", "0s", "--peer", address, mine=changed)
        assert await after.end() == 7
        assert "nobody else came" in after.report["shortfalls"]
