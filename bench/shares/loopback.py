"""`python -m bench.shares.loopback`: one file to one peer on this machine, beside cp and sendfile.

The figure of chatctl includes the SHA-256 of every piece before it is written, that of the whole
file afterwards, and fsync. It does not include hashing the file before it is shared.
"""

import argparse
import filecmp
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from bench.errors import BenchError, WrongAnswerError
from bench.shares.cases import PeerFiles, make_files
from bench.shares.processes import Go, PeerAddresses
from common.values import parse_size

_LOCAL: Final = "127.0.0.1"
_PATIENCE_S: Final = 60.0


def main() -> int:
    """Measure each method in turn, and print MB/s."""
    options = _parser().parse_args()
    rates: dict[str, list[float]] = {name: [] for name in _METHODS}
    try:
        for _ in range(options.runs):
            for name, copy in _METHODS.items():
                with tempfile.TemporaryDirectory(prefix="bench-loopback-") as directory:
                    sender, receiver = make_files(Path(directory), 2, options.size)
                    receiver.file.write_bytes(b"")
                    rates[name].append(options.size / copy(sender, receiver) / 1e6)
                    _check(sender, receiver)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    print(f"one file of {options.size / 1e6:g} MB, runs: {options.runs}; MB/s")
    for name, each in rates.items():
        spread = f"({min(each):.0f} to {max(each):.0f})"
        print(f"{name:10}{statistics.median(each):8.0f}  {spread}")
    return 0


def _check(sender: PeerFiles, receiver: PeerFiles) -> None:
    copies = [path for path in receiver.inbox.iterdir() if path.stat().st_size]
    if not any(filecmp.cmp(path, sender.file, shallow=False) for path in copies):
        raise WrongAnswerError("the received file differs from the sent one")


def _cp(sender: PeerFiles, receiver: PeerFiles) -> float:
    began = time.monotonic()
    subprocess.run(["cp", str(sender.file), str(receiver.inbox)], check=True)
    return time.monotonic() - began


def _sendfile(sender: PeerFiles, receiver: PeerFiles) -> float:
    """Use two processes: one calls sendfile, the other reads and writes 64 KiB at a time."""
    peers = [
        _start("bench.shares.direct", str(number), _LOCAL, str(own.file), str(own.inbox))
        for number, own in enumerate((sender, receiver))
    ]
    try:
        ports = [int(_wait_for(peer, "listening")["port"]) for peer in peers]
        for peer in peers:
            _send_line(peer, PeerAddresses([(_LOCAL, port) for port in ports]))
        for peer in peers:
            _wait_for(peer, "connected")
        began = time.monotonic()
        for peer in peers:
            _send_line(peer, Go())
        for peer in peers:
            _wait_for(peer, "complete")
        return time.monotonic() - began
    finally:
        _end(*peers)


def _chatctl(sender: PeerFiles, receiver: PeerFiles) -> float:
    share = ["chatctl", "share", "--group", "loopback", "--key", "k", "--peers", "2", "--json"]
    peers = [_start(*share, "--id", "0", "--peer", "none", "--out", *_paths(sender))]
    try:
        address = f"{_LOCAL}:{_wait_for(peers[0], 'listening')['port']}"
        peers.append(_start(*share, "--id", "1", "--peer", address, "--out", *_paths(receiver)))
        _wait_for(peers[1], "met")
        began = time.monotonic()
        _wait_for(peers[1], "complete")
        return time.monotonic() - began
    finally:
        _end(*peers)


def _paths(own: PeerFiles) -> tuple[str, str]:
    return str(own.inbox), str(own.file)


_METHODS: Final[dict[str, Callable[[PeerFiles, PeerFiles], float]]] = {
    "cp": _cp,
    "sendfile": _sendfile,
    "chatctl": _chatctl,
}


def _start(module: str, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def _wait_for(process: "subprocess.Popen[bytes]", code: str) -> dict[str, Any]:
    """Return the next event that is called `code`; raises WrongAnswerError when there is none."""
    for line in _stream(process.stdout):
        event: dict[str, Any] = msgspec.json.decode(line)
        if event["code"] == code:
            return event
    raise WrongAnswerError(f"{process.args!r} ended without {code!r}")


def _send_line(process: "subprocess.Popen[bytes]", command: PeerAddresses | Go) -> None:
    stream = _stream(process.stdin)
    stream.write(msgspec.json.encode(command) + b"\n")
    stream.flush()


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _end(*processes: "subprocess.Popen[bytes]") -> None:
    """Close the stdin of processes, and wait until they end."""
    for process in processes:
        try:
            process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.shares.loopback", description=__doc__)
    parser.add_argument(
        "--size", type=parse_size, default=256 * 10**6, metavar="SIZE", help="of the file (256MB)"
    )
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of each way (3)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
