"""How one setting of the daemon is written, explained and read.

The settings of the daemon.
Where settings come from: flags over environment over file over default.
"""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, get_type_hints

import msgspec
from msgspec import Meta, Struct

from common import __version__
from common.protocol.codec import MAX_LINE
from common.system.settings import CheckedArgumentParser
from common.values import parse_duration, parse_number, parse_range, parse_size, parse_whole


class Option(NamedTuple):
    """How a setting is written and explained; `parse` raises ValueError.

    `flag_value` is what the flag means without a value, where that is allowed. An action is done
    instead of serving, so only a flag can ask for it.
    """

    parse: Callable[[str], Any]
    metavar: str
    help: str
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


def parse_locale(text: str) -> str:
    """Return a locale of Faker, or any text where that is missing; raises ValueError."""
    try:
        from faker.config import AVAILABLE_LOCALES  # noqa: PLC0415 - an extra
    except ImportError:
        return text
    if text in AVAILABLE_LOCALES:
        return text
    close = get_close_matches(text, AVAILABLE_LOCALES, n=3, cutoff=0.5)
    hint = f"; there are {', '.join(close)}" if close else ""
    raise ValueError(f"{text!r} is not a locale of Faker: write it as en_US or de_DE{hint}")


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


class ConfigError(Exception):
    """A setting that cannot be; its text names the source and what was expected."""


def load(arguments: Sequence[str], environment: Mapping[str, str]) -> Config:
    """Return the settings that `arguments`, then `environment`, then the file ask for.

    Raises ConfigError; exits for ``--help``, ``--version`` and unknown flags (code 2).
    """
    flags = vars(_parser().parse_args(arguments))
    file = flags.pop("config") or environment.get("CHATD_CONFIG")
    settings: dict[str, Any] = {}
    for layer in (
        _from_file(Path(file)) if file else (),
        _from_environment(environment),
        _from_flags(flags),
    ):
        for name, source, text in layer:
            settings[name] = _read(name, source, text)
    config = Config(**settings)
    if config.log == "memory" and (config.keep_days or config.keep_bytes):
        raise ConfigError(
            "--log memory keeps the newest --keep-messages; leave out --keep-days and --keep-bytes"
        )
    return config


_HINTS: Final = get_type_hints(Config, include_extras=True)
_OPTIONS: Final[Mapping[str, Option]] = {
    name: next(part for part in hint.__metadata__ if isinstance(part, Option))
    for name, hint in _HINTS.items()
}
_SETTINGS: Final = [name for name, option in _OPTIONS.items() if not option.is_action]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


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
    for name, option in _OPTIONS.items():
        parser.add_argument(
            _flag(name),
            metavar=option.metavar,
            help=option.help,
            nargs=None if option.flag_value is None else "?",
            const=option.flag_value,
        )
    parser.add_argument("--config", metavar="FILE", help="TOML file with any of the above")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


_Layer = Iterator[tuple[str, str, str]]


def _from_flags(flags: Mapping[str, str | None]) -> _Layer:
    for name, text in flags.items():
        if text is not None:
            yield name, _flag(name), text


def _from_environment(environment: Mapping[str, str]) -> _Layer:
    for name in _SETTINGS:
        variable = f"CHATD_{name.upper()}"
        if variable in environment:
            yield name, variable, environment[variable]


def _from_file(path: Path) -> _Layer:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    for name, value in table.items():
        if name not in _SETTINGS:
            close = get_close_matches(name, _SETTINGS, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(_SETTINGS)}"
            raise ConfigError(f"{path}: there is no setting {name}{hint}")
        is_misplaced = isinstance(value, bool) and _OPTIONS[name].flag_value is None
        if is_misplaced or not isinstance(value, str | int | float):
            raise ConfigError(f"{path}: {name}: write it as a text or a number")
        yield name, f"{path}: {name}", str(value)


def _read(name: str, source: str, text: str) -> Any:
    try:
        return msgspec.convert(_OPTIONS[name].parse(text), _HINTS[name])
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {text!r} does not fit: {_format_error(error)}") from None
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None


def _format_error(error: msgspec.ValidationError) -> str:
    return str(error).replace("`", "").replace("Expected", "expected")
