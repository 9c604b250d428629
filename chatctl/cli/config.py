"""Settings of every command: flags override environment variables, which override a file."""

import getpass
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from chatctl.errors import UsageError
from common.system.settings import Setting, SettingsError, load_settings
from common.values import HOST, PORT, Address, parse_duration

_GUEST: Final = "guest"


class Settings(NamedTuple):
    """`timeout` (s) is for connecting and for each answer; `name` is the default of ``--as``."""

    server: Address = Address(HOST, PORT)
    timeout: float = 10.0
    name: str = _GUEST


def load(flags: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Return the settings; `flags` may hold `config` besides their names.

    An empty variable counts as unset. Raises UsageError, which names the source of a bad value.
    """
    try:
        found = load_settings(
            _SETTINGS,
            flags={name: flags.get(name) for name in _SETTINGS},
            environment={name: text for name, text in environment.items() if text},
            prefix="CHATCTL_",
            file=_file(flags, environment),
        )
    except SettingsError as error:
        raise UsageError(str(error)) from None
    return Settings(**({"name": _login_name()} | found))


def _positive_duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise ValueError(f"{text!r} is no time to wait: write it as 500ms, 10s or 1m")
    return seconds


_SETTINGS: Final[Mapping[str, Setting]] = {
    "server": Setting(Address.parse, toml_types=(str,)),
    "timeout": Setting(_positive_duration, toml_types=(str,)),
    "name": Setting(str, toml_types=(str,)),
}


def _file(flags: Mapping[str, Any], environment: Mapping[str, str]) -> Path | None:
    requested = flags.get("config") or environment.get("CHATCTL_CONFIG")
    if requested:
        return Path(requested)
    base = environment.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    default = Path(base) / "chatctl" / "config.toml"
    return default if default.is_file() else None


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"{_GUEST}-{os.getuid()}"
