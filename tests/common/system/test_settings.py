"""Layered settings: which source wins, and what is said about a bad value."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from common.system.settings import Setting, SettingsError, load_settings

SETTINGS = {
    "port": Setting(int),
    "host_name": Setting(str, toml_types=(str,)),
    "check": Setting(str, flag_only=True),
}


def load(
    flags: Mapping[str, str | None] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> dict[str, Any]:
    return load_settings(
        SETTINGS, flags=flags or {}, environment=environment or {}, prefix="TEST_", file=file
    )


def write_file(directory: Path, text: str) -> Path:
    path = directory / "settings.toml"
    path.write_text(text)
    return path


def test_what_no_source_gives_is_left_out() -> None:
    assert load({"port": None}, {"OTHER_PORT": "1"}) == {}


def test_flags_override_the_environment_which_overrides_the_file(tmp_path: Path) -> None:
    file = write_file(tmp_path, "port = 1\nhost_name = 'file'")
    environment = {"TEST_PORT": "2", "TEST_HOST_NAME": "environment"}
    assert load(file=file) == {"port": 1, "host_name": "file"}
    assert load({}, environment, file) == {"port": 2, "host_name": "environment"}
    assert load({"port": "3"}, environment, file) == {"port": 3, "host_name": "environment"}


def test_a_flag_only_setting_is_read_from_no_other_source(tmp_path: Path) -> None:
    assert load({"check": "/data"}) == {"check": "/data"}
    assert load({}, {"TEST_CHECK": "/data"}) == {}
    with pytest.raises(SettingsError, match="there is no setting check; known are port, host_name"):
        load(file=write_file(tmp_path, "check = '/data'"))


@pytest.mark.parametrize(
    ("flags", "environment", "source"),
    [({"port": "x"}, {}, "--port: "), ({}, {"TEST_PORT": "x"}, "TEST_PORT: ")],
)
def test_a_bad_value_is_named_with_its_source(
    flags: dict[str, str | None], environment: dict[str, str], source: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{source}invalid literal"):
        load(flags, environment)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("port = 'x'", "port: invalid literal"),
        ("port = true", "port must be a string or a number$"),
        ("host_name = 5", "host_name must be a string$"),
        ("prot = 5", r"there is no setting prot; did you mean port\?$"),
    ],
)
def test_a_bad_value_in_a_file_is_named_with_the_file(
    tmp_path: Path, text: str, error: str
) -> None:
    file = write_file(tmp_path, text)
    with pytest.raises(SettingsError, match=f"^{file}: {error}"):
        load(file=file)


def test_a_file_that_cannot_be_read_or_is_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^cannot read /nowhere/at\.toml: no such file"):
        load(file=Path("/nowhere/at.toml"))
    file = write_file(tmp_path, "port = = 1")
    with pytest.raises(SettingsError, match=f"^{file} is not TOML: "):
        load(file=file)
