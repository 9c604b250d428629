"""Settings of the daemon: flags override environment variables, which override a TOML file."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct, field

from common import __version__
from common.protocol.codec import MAX_LINE
from common.system.settings import Setting, SettingsError, flag_of, load_settings
from common.system.stdio import CheckedArgumentParser
from common.values import parse_duration, parse_number, parse_range, parse_size, parse_whole

PROGRAM: Final = "chatd"


class Option(NamedTuple):
    """How a setting is written and explained; `parse` raises ValueError.

    `name` is for the flag, the variable and the key, where these differ from the field.
    `flag_value` is what the flag means without a value, where that is allowed. An action is done
    instead of serving, so only a flag can ask for it.
    """

    parse: Callable[[str], Any]
    metavar: str
    help: str
    name: str = ""
    flag_value: str | None = None
    is_action: bool = False


def parse_switch(text: str) -> bool:
    """Return what ``yes``, ``true``, ``on``, ``1`` or their opposites say; raises ValueError."""
    match text.lower():
        case "yes" | "true" | "on" | "1":
            return True
        case "no" | "false" | "off" | "0":
            return False
    raise ValueError(f"{text!r} is neither yes nor no")


def parse_seed(text: str) -> int:
    """Return the seed of a random generator; raises ValueError."""
    if (seed := parse_whole(text)) >= 0:
        return seed
    raise ValueError(f"{text} is not at least 0")


def parse_locale(text: str) -> str:
    """Return a locale of Faker, or any text where Faker is missing; raises ValueError."""
    try:
        locales = import_module("faker.config").AVAILABLE_LOCALES  # an extra, and slow to import
    except ImportError:
        return text
    if text in locales:
        return text
    close = get_close_matches(text, locales, n=3, cutoff=0.5)
    hint = f"; there are {', '.join(close)}" if close else ""
    raise ValueError(f"{text!r} is not a locale of Faker: write it as en_US or de_DE{hint}")


def _state_directory() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / PROGRAM


class ListenConfig(Struct, frozen=True, kw_only=True):
    """Where the daemon listens, and how many connections it accepts at once (0: all it can)."""

    host: Annotated[str, Option(str, "HOST", "address to listen on (127.0.0.1)")] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535), Option(parse_whole, "PORT", "port; 0 picks a free one (5555)")
    ] = 5555
    max_connections: Annotated[
        int,
        Meta(ge=0),
        Option(parse_whole, "N", "connections at once; 0: as many as possible (0)"),
    ] = 0


class ConnectionLimits(Struct, frozen=True, kw_only=True):
    """What one connection may use: bytes in a line and in the send queue, seconds of silence."""

    max_line: Annotated[
        int,
        Meta(ge=1024, le=16 * 2**20),
        Option(parse_size, "SIZE", "longest line accepted, 1KiB to 16MiB (64KiB)"),
    ] = MAX_LINE
    send_queue_limit: Annotated[
        int,
        Meta(ge=64 * 1024),
        Option(
            parse_size,
            "SIZE",
            "bytes queued for a client that does not read (8MiB)",
            name="outbox_limit",
        ),
    ] = 8 * 2**20
    idle_timeout: Annotated[
        float,
        Meta(ge=0),
        Option(parse_duration, "TIME", "close a connection silent this long; 0: never (0)"),
    ] = 0.0


class LogConfig(Struct, frozen=True, kw_only=True):
    """Where messages are kept, how safe they are, and how many are kept (0: no limit)."""

    kind: Annotated[
        Literal["sqlite", "memory"],
        Option(str, "KIND", "where messages are kept: sqlite or memory (sqlite)", name="log"),
    ] = "sqlite"
    durability: Annotated[
        Literal["process", "power"],
        Option(str, "LEVEL", "messages survive a process or power failure (power)"),
    ] = "power"
    keep_messages: Annotated[
        int,
        Meta(ge=0),
        Option(parse_whole, "N", "messages kept; 0: all, in memory 100000 (0)"),
    ] = 0
    keep_days: Annotated[
        float,
        Meta(ge=0, le=100_000),
        Option(parse_number, "N", "days that a message is kept; 0: forever (0)"),
    ] = 0.0
    keep_bytes: Annotated[
        int,
        Meta(ge=0),
        Option(parse_size, "SIZE", "size of all messages kept; 0: any size (0)"),
    ] = 0


class AccountConfig(Struct, frozen=True, kw_only=True):
    """How long (s) a name is reserved for its owner, who is offline."""

    reservation: Annotated[
        float,
        Meta(ge=0),
        Option(parse_duration, "TIME", "how long a name stays reserved (7d)", name="reserve"),
    ] = 7 * 86_400.0


class RequestConfig(Struct, frozen=True, kw_only=True):
    """The range (s) that the delay of an answer is drawn from, and how many may be pending."""

    delay: Annotated[
        tuple[float, float],
        Option(parse_range, "MIN:MAX", "seconds before a request is answered (1:5)"),
    ] = (1.0, 5.0)
    seed: Annotated[
        int | None,
        Option(parse_whole, "N", "draw the same delays in every run", name="delay_seed"),
    ] = None
    max_pending: Annotated[
        int, Meta(ge=1), Option(parse_whole, "N", "unanswered requests per connection (10000)")
    ] = 10_000


class TimestampConfig(Struct, frozen=True, kw_only=True):
    """Which timestamp exchanges are allowed (times in s), and where their stamps are written."""

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


class ShareConfig(Struct, frozen=True, kw_only=True):
    """How many groups may share files, and how many peers may be in each."""

    max_groups: Annotated[
        int, Meta(ge=0), Option(parse_whole, "N", "groups that share files at once (1000)")
    ] = 1_000
    max_peers: Annotated[int, Meta(ge=2), Option(parse_whole, "N", "peers in one group (100)")] = (
        100
    )


class FeedConfig(Struct, frozen=True, kw_only=True):
    """What feeds are generated from; without a seed every run has others."""

    seed: Annotated[
        int | None,
        Option(parse_seed, "N", "generate the same feeds in every run", name="feed_seed"),
    ] = None
    locale: Annotated[
        str,
        Option(parse_locale, "LOCALE", "where the users in feeds live (en_US)", name="feed_locale"),
    ] = "en_US"


class LoggingConfig(Struct, frozen=True, kw_only=True):
    """What the daemon logs to stderr, and in which form."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Option(str, "LEVEL", "debug, info, warning or error (info)", name="log_level"),
    ] = "info"
    format: Annotated[
        Literal["text", "json"], Option(str, "FORMAT", "text or json (text)", name="log_format")
    ] = "text"
    print_messages: Annotated[
        bool,
        Option(parse_switch, "yes|no", "log every message from a client (no)", flag_value="yes"),
    ] = False


class Config(Struct, frozen=True, kw_only=True):
    """All settings of the daemon, in sections; sizes in bytes, durations in seconds (s)."""

    listen: ListenConfig = field(default_factory=ListenConfig)
    data: Annotated[Path, Option(Path, "DIR", "where files are kept (the XDG state directory)")] = (
        field(default_factory=_state_directory)
    )
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    log: LogConfig = field(default_factory=LogConfig)
    accounts: AccountConfig = field(default_factory=AccountConfig)
    request: RequestConfig = field(default_factory=RequestConfig)
    timestamp: TimestampConfig = field(default_factory=TimestampConfig)
    share: ShareConfig = field(default_factory=ShareConfig)
    feed: FeedConfig = field(default_factory=FeedConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)
    check: Annotated[
        Path | None,
        Option(Path, "DIR", "check a data directory for damage, and exit", is_action=True),
    ] = None
    backup: Annotated[
        Path | None,
        Option(Path, "FILE", "copy the log in --data, even in use, and exit", is_action=True),
    ] = None


def load(arguments: Sequence[str], environment: Mapping[str, str]) -> Config:
    """Return the settings that `arguments`, then `environment`, then the file ask for.

    Raises SettingsError; exits for ``--help``, ``--version`` and unknown flags (code 2).
    """
    flags = vars(_parser().parse_args(arguments))
    file = flags.pop("config") or environment.get("CHATD_CONFIG")
    found = load_settings(
        {name: one.setting for name, one in OPTIONS.items()},
        flags=flags,
        environment=environment,
        prefix="CHATD_",
        file=Path(file) if file else None,
    )
    config = _build(found)
    if config.log.kind == "memory" and (config.log.keep_days or config.log.keep_bytes):
        raise SettingsError(
            "--log memory keeps the newest --keep-messages; leave out --keep-days and --keep-bytes"
        )
    return config


class _ConfigField(NamedTuple):
    """Where a setting is in `Config`; `section` is empty for a field of `Config` itself."""

    section: str
    field: str
    type: Any
    option: Option

    @property
    def setting(self) -> Setting:
        types = (str, int, float) if self.option.flag_value is None else (str, bool)
        return Setting(self._parse, types, flag_only=self.option.is_action)

    def _parse(self, text: str) -> Any:
        try:
            return msgspec.convert(self.option.parse(text), self.type)
        except msgspec.ValidationError:
            raise ValueError(f"{text} is not {_expected(self.type)}") from None


def _options(kind: type[Struct], section: str = "") -> Iterator[tuple[str, _ConfigField]]:
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if get_origin(hint) is not Annotated:
            yield from _options(hint, name)
            continue
        option = next(part for part in get_args(hint) if isinstance(part, Option))
        yield option.name or name, _ConfigField(section, name, hint, option)


OPTIONS: Final[Mapping[str, _ConfigField]] = dict(_options(Config))
"""Every setting by its name, in the order of the help."""


def _expected(hint: Any) -> str:
    """Return which values the type of a setting allows, in words."""
    kind, *extras = get_args(hint)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    bounds = next(one for one in extras if isinstance(one, Meta))
    if bounds.gt is not None:
        return f"more than {bounds.gt}"
    return f"at least {bounds.ge}" if bounds.le is None else f"between {bounds.ge} and {bounds.le}"


def _parser() -> CheckedArgumentParser:
    parser = CheckedArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [OPTIONS]",
        description="Serve chat and more on one TCP port, in JSON lines.",
        epilog="Each option is also CHATD_NAME in the environment and name = … in the TOML file; "
        "sizes are written 64KiB, times 10ms, 4s, 5m, 1h, 7d. "
        "Exit codes: 0 stopped, 2 usage, 3 cannot listen, 4 unusable log, 130 interrupted twice.",
        allow_abbrev=False,
    )
    for name, one in OPTIONS.items():
        option = one.option
        parser.add_argument(
            flag_of(name),
            metavar=option.metavar,
            help=option.help,
            nargs=None if option.flag_value is None else "?",
            const=option.flag_value,
        )
    parser.add_argument("--config", metavar="FILE", help="TOML file with any of the above")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def _build(found: Mapping[str, Any]) -> Config:
    sections: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for name, value in found.items():
        sections[OPTIONS[name].section][OPTIONS[name].field] = value
    own, kinds = sections.pop("", {}), get_type_hints(Config)
    return Config(**own, **{name: kinds[name](**values) for name, values in sections.items()})
