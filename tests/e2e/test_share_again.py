"""``chatctl share`` started again after a kill, when those who had the files are gone."""

import asyncio
from pathlib import Path
from typing import Final

import pytest
from bitarray import bitarray

from tests.e2e.actors import opened, running_fake_peer
from tests.e2e.daemon import Daemon
from tests.e2e.sharers import ShareProcess, StartShare, make_file

WANTED: Final = ("--peers", "2", "--key", "sesame")
LONG: Final = ("--wait", "1h")
"""Whoever waits so long for others is still waiting when the test is over."""


async def killed(start_share: StartShare, address: str) -> ShareProcess:
    """Return a peer that was killed when 20 of the 30 pieces of a file were here."""
    peer = await start_share("1", *WANTED, *LONG, "--peer", address, mine=b"1")
    await peer.wait_for_pieces(20)
    await peer.kill()
    return peer


async def left_alone(start_share: StartShare, tmp_path: Path) -> tuple[bytes, str]:
    """Have a peer killed when it has all of a file; return that, and where its owner was."""
    file = make_file(tmp_path, "large", 30)
    async with running_fake_peer(
        tmp_path, "9", file, key="sesame", prepare=opened(20)
    ) as fake_peer:
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


async def test_a_peer_that_was_killed_with_all_pieces_names_its_files_and_misses_nobody(
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


async def test_it_stays_for_others_as_long_as_it_is_told_to(
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


async def test_who_is_still_there_is_served_first(
    daemon: Daemon, start_share: StartShare, tmp_path: Path
) -> None:
    file = make_file(tmp_path, "large", 30)
    async with running_fake_peer(
        tmp_path, "9", file, key="sesame", prepare=opened(20)
    ) as fake_peer:
        before = await killed(start_share, fake_peer.address)
        write_the_rest(before.directory / "received", file.read_bytes())
        fake_peer.store.open()
        after = await start_share("1", *WANTED, *LONG, "--peer", fake_peer.address, mine=b"1")
        assert await after.end() == 0, await after.stderr()
        assert fake_peer.session.swarm.is_complete
    assert after.events_of("met")


@pytest.mark.parametrize("changed", [b"other", b"mine, and changed"])
async def test_other_files_of_ones_own_are_another_exchange(
    start_share: StartShare, tmp_path: Path, changed: bytes
) -> None:
    _, address = await left_alone(start_share, tmp_path)

    after = await start_share("1", *WANTED, "--wait", "500ms", "--peer", address, mine=changed)

    assert await after.end() == 7
    assert "nobody else came" in after.report["shortfalls"]
