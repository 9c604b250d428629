"""The settings of the daemon."""

import os
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from chatd.options import Option, parse_locale, parse_switch
from common.codec import MAX_LINE
from common.units import parse_duration, parse_number, parse_range, parse_size, parse_whole

PROGRAM: Final = "chatd"


def _state_directory() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / PROGRAM


class Config(Struct, frozen=True, kw_only=True):
    """All settings of the daemon; sizes in bytes, durations in seconds (s)."""

    host: Annotated[str, Option(str, "HOST", "address to listen on (127.0.0.1)")] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535), Option(parse_whole, "PORT", "port; 0 picks a free one (5555)")
    ] = 5555
    data: Annotated[Path, Option(Path, "DIR", "where files are kept (the XDG state directory)")] = (
        msgspec.field(default_factory=_state_directory)
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Option(str, "LEVEL", "debug, info, warning or error (info)"),
    ] = "info"
    log_format: Annotated[Literal["text", "json"], Option(str, "FORMAT", "text or json (text)")] = (
        "text"
    )
    max_line: Annotated[
        int,
        Meta(ge=1024, le=16 * 2**20),
        Option(parse_size, "SIZE", "longest line taken, 1KiB to 16MiB (64KiB)"),
    ] = MAX_LINE
    max_connections: Annotated[
        int,
        Meta(ge=0),
        Option(parse_whole, "N", "connections at once; 0: all that descriptors allow (0)"),
    ] = 0
    idle_timeout: Annotated[
        float,
        Meta(ge=0),
        Option(parse_duration, "TIME", "silence that ends a connection; 0: none does (0)"),
    ] = 0.0
    outbox_limit: Annotated[
        int,
        Meta(ge=64 * 1024),
        Option(parse_size, "SIZE", "bytes queued for a client that does not read (8MiB)"),
    ] = 8 * 2**20
    log: Annotated[
        Literal["sqlite", "memory"],
        Option(str, "KIND", "where messages are kept: sqlite or memory (sqlite)"),
    ] = "sqlite"
    durability: Annotated[
        Literal["process", "power"],
        Option(str, "LEVEL", "an ack survives the end of the process or of power (power)"),
    ] = "power"
    keep_messages: Annotated[
        int,
        Meta(ge=0),
        Option(parse_whole, "N", "messages kept; 0: all, in memory 100000 (0)"),
    ] = 0
    keep_days: Annotated[
        float,
        Meta(ge=0, le=100_000),
        Option(parse_number, "N", "days that a message is kept; 0: for ever (0)"),
    ] = 0.0
    keep_bytes: Annotated[
        int, Meta(ge=0), Option(parse_size, "SIZE", "what kept messages may take; 0: any size (0)")
    ] = 0
    reserve: Annotated[
        float,
        Meta(ge=0),
        Option(parse_duration, "TIME", "how long a name is kept for its token's holder (7d)"),
    ] = 7 * 86_400.0
    delay: Annotated[
        tuple[float, float],
        Option(parse_range, "MIN:MAX", "seconds that a request waits for its answer (1:5)"),
    ] = (1.0, 5.0)
    delay_seed: Annotated[
        int | None, Option(parse_whole, "N", "make those waits the same in every run")
    ] = None
    max_pending: Annotated[
        int, Meta(ge=1), Option(parse_whole, "N", "unanswered requests of one connection (10000)")
    ] = 10_000
    time_file: Annotated[
        Path | None,
        Option(Path, "FILE", "stamps of all exchanges (serverTimeData.txt in --data)"),
    ] = None
    min_interval: Annotated[
        float,
        Meta(ge=0.001),
        Option(parse_duration, "TIME", "shortest interval of an exchange (1ms)"),
    ] = 0.001
    max_duration: Annotated[
        float,
        Meta(gt=0),
        Option(parse_duration, "TIME", "longest duration of an exchange (1h)"),
    ] = 3600.0
    max_exchanges: Annotated[
        int, Meta(ge=0), Option(parse_whole, "N", "timestamp exchanges at once (1000)")
    ] = 1_000
    max_groups: Annotated[
        int, Meta(ge=0), Option(parse_whole, "N", "groups that share files at once (1000)")
    ] = 1_000
    max_peers: Annotated[int, Meta(ge=2), Option(parse_whole, "N", "peers in one group (100)")] = (
        100
    )
    feed_seed: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Option(parse_whole, "N", "make every feed the same in every run"),
    ] = None
    feed_locale: Annotated[
        str, Option(parse_locale, "LOCALE", "where the users of feeds live (en_US)")
    ] = "en_US"
    print_messages: Annotated[
        bool,
        Option(
            parse_switch, "yes|no", "log every message that clients send (no)", flag_value="yes"
        ),
    ] = False
    check: Annotated[
        Path | None,
        Option(Path, "DIR", "look for damage in a data directory, and end", is_action=True),
    ] = None
    backup: Annotated[
        Path | None,
        Option(Path, "FILE", "copy the log in --data, in use or not, and end", is_action=True),
    ] = None
