"""Flags over environment over file over default; a bad value is named with its source."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chatctl.cli import config
from chatctl.errors import UsageError
from common.values import Address

Configure = Callable[[str], dict[str, str]]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Write the config file and return an environment that leads to it."""

    def write(text: str) -> dict[str, str]:
        folder = tmp_path / "chatctl"
        folder.mkdir()
        (folder / "config.toml").write_text(text)
        return {"XDG_CONFIG_HOME": str(tmp_path)}

    return write


def test_without_anything_it_is_this_machine(tmp_path: Path) -> None:
    chosen = config.load({}, {"XDG_CONFIG_HOME": str(tmp_path)})

    assert chosen.server == Address("127.0.0.1", 5555)
    assert chosen.timeout == 10.0
    assert chosen.name


def test_flags_stand_over_the_environment_and_that_over_the_file(configure: Configure) -> None:
    file = configure('server = "file"\ntimeout = "1s"\nname = "ann"')
    environment = {"CHATCTL_SERVER": "environment", "CHATCTL_TIMEOUT": "2s"}

    assert config.load({}, file) == (("file", 5555), 1.0, "ann")
    assert config.load({}, file | environment) == (("environment", 5555), 2.0, "ann")
    assert config.load({"server": "flag"}, file | environment) == (("flag", 5555), 2.0, "ann")


def test_another_file_may_be_named(tmp_path: Path, configure: Configure) -> None:
    environment = configure('server = "usual"')
    other = tmp_path / "other.toml"
    other.write_text('server = "other"')

    assert config.load({"config": str(other)}, environment).server.host == "other"
    environment["CHATCTL_CONFIG"] = str(other)
    assert config.load({}, environment).server.host == "other"


@pytest.mark.parametrize(
    ("flags", "environment", "source"),
    [
        ({"server": "a b"}, {}, r"--server: 'a b' is not an address"),
        ({}, {"CHATCTL_SERVER": "x:y"}, r"CHATCTL_SERVER: 'x:y' is not an address"),
        ({"timeout": "5"}, {}, r"--timeout: '5' is not a duration"),
        ({"timeout": "0"}, {}, r"--timeout: '0' is no time to wait"),
        ({"config": "/no/such/file"}, {}, r"cannot read /no/such/file: no such file"),
    ],
)
def test_a_bad_value_is_named_with_its_source(
    flags: dict[str, str], environment: dict[str, str], source: str
) -> None:
    with pytest.raises(UsageError, match=source):
        config.load(flags, environment)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("server = 5555", r"config.toml: server must be a string"),
        ('server = "x:y"', r"config.toml: server: 'x:y' is not an address"),
        ('sever = "x"', r"config.toml: there is no setting sever; did you mean server\?"),
        ("server", r"config.toml is not TOML: "),
    ],
)
def test_a_bad_file_is_named_with_its_setting(
    configure: Configure, text: str, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        config.load({}, configure(text))
