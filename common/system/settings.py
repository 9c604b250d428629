"""Layered settings: flags override environment variables, which override a TOML file."""

from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

_TYPE_NAMES: Final[Mapping[type, str]] = {
    str: "a string",
    float: "a number",
    bool: "true or false",
}


class SettingsError(Exception):
    """A setting has no valid value; the text names the source and what was expected."""


class Setting(NamedTuple):
    """How the text of one setting is read.

    `parse` raises ValueError for a text that it does not accept. `toml_types` are the types that a
    TOML file may give the value in. One that is `flag_only` is read from no other source.
    """

    parse: Callable[[str], Any]
    toml_types: Collection[type] = (str, int, float)
    flag_only: bool = False


def load_settings(
    settings: Mapping[str, Setting],
    *,
    flags: Mapping[str, str | None],
    environment: Mapping[str, str],
    prefix: str,
    file: Path | None,
) -> dict[str, Any]:
    """Return the values that the sources give to `settings`, by name; defaults are the caller's.

    A setting `max_line` is the flag ``--max-line``, the variable ``MAX_LINE`` behind `prefix`, and
    the key ``max_line`` in `file`. A flag that is None was not given. Raises SettingsError.
    """
    layered = {name: setting for name, setting in settings.items() if not setting.flag_only}
    found: dict[str, Any] = {}
    for layer in (
        _from_file(file, layered) if file is not None else (),
        _from_environment(environment, prefix, layered),
        _from_flags(flags),
    ):
        for name, source, text in layer:
            try:
                found[name] = settings[name].parse(text)
            except ValueError as error:
                raise SettingsError(f"{source}: {error}") from None
    return found


def flag_of(name: str) -> str:
    """Return the flag of the setting with this name."""
    return "--" + name.replace("_", "-")


_Layer: TypeAlias = Iterator[tuple[str, str, str]]
"""The name of each setting in one source, its place there, and its text."""


def _from_flags(flags: Mapping[str, str | None]) -> _Layer:
    for name, text in flags.items():
        if text is not None:
            yield name, flag_of(name), text


def _from_environment(
    environment: Mapping[str, str], prefix: str, names: Collection[str]
) -> _Layer:
    for name in names:
        variable = prefix + name.upper()
        if variable in environment:
            yield name, variable, environment[variable]


def _from_file(path: Path, settings: Mapping[str, Setting]) -> _Layer:
    for name, value in _read_table(path).items():
        if name not in settings:
            close = get_close_matches(name, settings, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(settings)}"
            raise SettingsError(f"{path}: there is no setting {name}; {hint}")
        types = settings[name].toml_types
        if type(value) not in types:
            expected = " or ".join(_TYPE_NAMES[one] for one in types if one is not int)
            raise SettingsError(f"{path}: {name} must be {expected}")
        yield name, f"{path}: {name}", str(value)


def _read_table(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text("utf-8")
        table: Mapping[str, Any] = import_module("tomllib").loads(text)  # most users have no file
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"cannot read {path}: {reason}") from None
    except ValueError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
    return table
