"""What holds for every command, and from where: flags over environment over file over default."""

import getpass
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from chatctl.errors import UsageError, why
from common.values import HOST, PORT, Address, parse_duration

_GUEST: Final = "guest"


class Settings(NamedTuple):
    """`timeout` (s) is for connecting and for each answer; `name` is who we are unless told."""

    server: Address = Address(HOST, PORT)
    timeout: float = 10.0
    name: str = _GUEST


def _positive_duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise ValueError(f"{text!r} is no time to wait: write it as 500ms, 10s or 1m")
    return seconds


_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "server": Address.parse,
    "timeout": _positive_duration,
    "name": str,
}


def load(flags: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Return the settings; `flags` may hold `config` besides their names.

    Raises UsageError, which names the source of what it cannot take.
    """
    found: dict[str, Any] = {"name": _login_name()}
    for layer in (
        _from_file(flags, environment),
        _from_environment(environment),
        _from_flags(flags),
    ):
        for name, source, text in layer:
            try:
                found[name] = _PARSERS[name](text)
            except ValueError as error:
                raise UsageError(f"{source}: {error}") from None
    return Settings(**found)


_Layer = Iterator[tuple[str, str, str]]


def _from_flags(flags: Mapping[str, Any]) -> _Layer:
    for name in _PARSERS:
        if flags.get(name) is not None:
            yield name, f"--{name}", flags[name]


def _from_environment(environment: Mapping[str, str]) -> _Layer:
    for name in _PARSERS:
        variable = f"CHATCTL_{name.upper()}"
        if environment.get(variable):
            yield name, variable, environment[variable]


def _from_file(flags: Mapping[str, Any], environment: Mapping[str, str]) -> _Layer:
    asked_for = flags.get("config") or environment.get("CHATCTL_CONFIG")
    path = Path(asked_for) if asked_for else _default_file(environment)
    if not asked_for and not path.is_file():
        return
    for name, value in _read_table(path).items():
        if name not in _PARSERS:
            raise UsageError(f"{path}: there is no setting {name}; known are {', '.join(_PARSERS)}")
        if not isinstance(value, str):
            raise UsageError(f'{path}: {name} must be a string; write {name} = "…"')
        yield name, f"{path}: {name}", value


def _default_file(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "chatctl" / "config.toml"


def _read_table(path: Path) -> Mapping[str, Any]:
    import tomllib  # noqa: PLC0415 - most people have no file

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {why(error)}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"{_GUEST}-{os.getuid()}"
