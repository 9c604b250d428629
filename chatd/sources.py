"""Where settings come from: flags over environment over file over default."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec

from chatd.config import PROGRAM, Config
from chatd.options import Option
from common.commandline import CheckedArgumentParser
from common.version import version


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
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {version()}")
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
