"""The settings of the daemon: defaults, sources, and what is said about a bad value."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chatd.config import (
    OPTIONS,
    AccountConfig,
    Config,
    ConnectionLimits,
    FeedConfig,
    ListenConfig,
    LogConfig,
    LoggingConfig,
    RequestConfig,
    ShareConfig,
    TimestampConfig,
    load,
)
from common.protocol.codec import MAX_LINE
from common.system.settings import SettingsError

WriteFile = Callable[[str], str]


@pytest.fixture
def write_file(tmp_path: Path) -> WriteFile:
    """Write a TOML file and return its path."""

    def write(text: str) -> str:
        path = tmp_path / "chatd.toml"
        path.write_text(text, "utf-8")
        return str(path)

    return write


def error_of(*arguments: str, **environment: str) -> str:
    """Return the error for settings that are not valid."""
    with pytest.raises(SettingsError) as error:
        load(arguments, environment)
    return str(error.value)


class TestDefaults:
    def test_they_are_what_the_help_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", "/state")
        assert load([], {}) == Config(
            data=Path("/state/chatd"),
            listen=ListenConfig(host="127.0.0.1", port=5555, max_connections=0),
            limits=ConnectionLimits(max_line=MAX_LINE, send_queue_limit=8 * 2**20, idle_timeout=0),
            log=LogConfig(
                kind="sqlite", durability="power", keep_messages=0, keep_days=0, keep_bytes=0
            ),
            accounts=AccountConfig(reservation=7 * 86_400.0),
            request=RequestConfig(delay=(1.0, 5.0), seed=None, max_pending=10_000),
            timestamp=TimestampConfig(
                time_file=None, min_interval=0.001, max_duration=3600.0, max_exchanges=1_000
            ),
            share=ShareConfig(max_groups=1_000, max_peers=100),
            feed=FeedConfig(seed=None, locale="en_US"),
            logging=LoggingConfig(level="info", format="text", print_messages=False),
        )

    def test_without_xdg_files_are_kept_below_the_home(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        monkeypatch.setenv("HOME", "/home/ann")
        assert load([], {}).data == Path("/home/ann/.local/state/chatd")


class TestLayers:
    def test_flags_win_over_the_environment_and_that_over_the_file(
        self, write_file: WriteFile
    ) -> None:
        path = write_file('host = "file"\nport = 1\nlog_level = "error"\n')
        environment = {"CHATD_HOST": "environment", "CHATD_PORT": "2"}
        config = load(["--host", "flag", "--config", path], environment)
        assert (config.listen.host, config.listen.port, config.logging.level) == (
            "flag",
            2,
            "error",
        )

    def test_the_environment_may_name_the_file(self, write_file: WriteFile) -> None:
        assert load([], {"CHATD_CONFIG": write_file("port = 1")}).listen.port == 1

    def test_a_flag_for_the_file_wins_over_that(self, write_file: WriteFile) -> None:
        arguments = ["--config", write_file("port = 1")]
        assert load(arguments, {"CHATD_CONFIG": "/nowhere"}).listen.port == 1

    def test_every_option_is_read_from_each_layer(self, write_file: WriteFile) -> None:
        texts = {
            "host": "::1",
            "port": "0",
            "max-connections": "12",
            "data": "/data",
            "max-line": "1MiB",
            "outbox-limit": "64KiB",
            "idle-timeout": "1m30s",
            "log": "sqlite",
            "durability": "process",
            "keep-messages": "7",
            "keep-days": "1.5",
            "keep-bytes": "1GiB",
            "reserve": "1h",
            "delay": "0:0.5",
            "delay-seed": "3",
            "max-pending": "4",
            "time-file": "/stamps",
            "min-interval": "5ms",
            "max-duration": "2m",
            "max-exchanges": "6",
            "max-groups": "8",
            "max-peers": "9",
            "feed-seed": "10",
            "feed-locale": "de_DE",
            "log-level": "debug",
            "log-format": "json",
            "print-messages": "yes",
        }
        expected = Config(
            data=Path("/data"),
            listen=ListenConfig(host="::1", port=0, max_connections=12),
            limits=ConnectionLimits(max_line=2**20, send_queue_limit=64 * 1024, idle_timeout=90.0),
            log=LogConfig(
                kind="sqlite",
                durability="process",
                keep_messages=7,
                keep_days=1.5,
                keep_bytes=2**30,
            ),
            accounts=AccountConfig(reservation=3600.0),
            request=RequestConfig(delay=(0.0, 0.5), seed=3, max_pending=4),
            timestamp=TimestampConfig(
                time_file=Path("/stamps"), min_interval=0.005, max_duration=120.0, max_exchanges=6
            ),
            share=ShareConfig(max_groups=8, max_peers=9),
            feed=FeedConfig(seed=10, locale="de_DE"),
            logging=LoggingConfig(level="debug", format="json", print_messages=True),
        )
        flags = [word for name, text in texts.items() for word in (f"--{name}", text)]
        named = {name.replace("-", "_"): text for name, text in texts.items()}
        environment = {f"CHATD_{name.upper()}": text for name, text in named.items()}
        file = "\n".join(f'{name} = "{text}"' for name, text in named.items())
        assert load(flags, {}) == expected
        assert load([], environment) == expected
        assert load(["--config", write_file(file)], {}) == expected

    def test_a_file_may_write_numbers_as_numbers(self, write_file: WriteFile) -> None:
        config = load(["--config", write_file("port = 1\nmax_line = 2048\nreserve = 0")], {})
        assert config.listen.port == 1
        assert config.limits.max_line == 2048
        assert config.accounts.reservation == 0.0


class TestMistakes:
    @pytest.mark.parametrize(
        ("flag", "value", "expected"),
        [
            ("--port", "http", "'http' is not a whole number"),
            ("--port", "65536", "65536 is not between 0 and 65535"),
            ("--port", "-1", "-1 is not between 0 and 65535"),
            ("--log-level", "loud", "loud is not one of debug, info, warning, error"),
            ("--log-format", "xml", "xml is not one of text, json"),
            ("--max-line", "64", "64 is not between 1024 and 16777216"),
            ("--max-line", "64KB", "'64KB' is not a size (examples: 65536, 64KiB"),
            ("--idle-timeout", "10", "'10' is not a duration (examples: 10ms, 4s"),
            ("--keep-messages", "-1", "-1 is not at least 0"),
            ("--keep-days", "week", "'week' is not a number"),
            ("--keep-days", "nan", "'nan' is not a number (examples: 12, 0.5)"),
            ("--keep-days", "1e3", "'1e3' is not a number"),
            ("--max-pending", "1_0", "'1_0' is not a whole number (example: 5555)"),
            ("--delay", "1_0:20", "'1_0:20' is not a range of seconds from 0 to 3600"),
            ("--log", "tape", "tape is not one of sqlite, memory"),
            ("--max-duration", "0", "0 is not more than 0"),
            ("--feed-seed", "-1", "-1 is not at least 0"),
            ("--outbox-limit", "1KiB", "1KiB is not at least 65536"),
        ],
    )
    def test_a_bad_value_is_named_with_its_source_and_what_was_expected(
        self, flag: str, value: str, expected: str, write_file: WriteFile
    ) -> None:
        name = flag.removeprefix("--").replace("-", "_")
        variable = f"CHATD_{name.upper()}"
        path = write_file(f"{name} = '{value}'")
        for source, output in (
            (flag, error_of(flag, value)),
            (variable, error_of(**{variable: value})),
            (f"{path}: {name}", error_of("--config", path)),
        ):
            assert output.startswith(f"{source}: ")
            assert expected in output
            assert "\n" not in output

    def test_an_unknown_setting_in_the_file_is_refused_with_the_one_that_was_meant(
        self, write_file: WriteFile
    ) -> None:
        path = write_file("max_lines = 1024")
        output = error_of("--config", path)
        assert output == f"{path}: there is no setting max_lines; did you mean max_line?"

    def test_if_none_is_near_all_are_named(self, write_file: WriteFile) -> None:
        output = error_of("--config", write_file("colour = 'blue'"))
        assert "there is no setting colour; known are host, port, max_connections, data," in output

    @pytest.mark.parametrize("value", ["[5555]", "{ number = 5555 }", "true", "2026-11-21"])
    @pytest.mark.parametrize("name", ["host", "port", "data"])
    def test_a_setting_in_the_file_is_a_text_or_a_number(
        self, name: str, value: str, write_file: WriteFile
    ) -> None:
        path = write_file(f"{name} = {value}")
        assert error_of("--config", path) == (f"{path}: {name} must be a string or a number")

    def test_a_file_that_is_not_there_is_named(self) -> None:
        output = error_of("--config", "/nowhere/chatd.toml")
        assert output == "cannot read /nowhere/chatd.toml: no such file or directory"

    @pytest.mark.parametrize("content", [b"port = = 1", b"\xff"])
    def test_a_file_that_is_not_toml_is_named(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "chatd.toml"
        path.write_bytes(content)
        assert error_of("--config", str(path)).startswith(f"{path} is not TOML: ")

    @pytest.mark.parametrize("arguments", [["--prot", "1"], ["--por", "1"], ["1"], ["--port"]])
    def test_an_unknown_flag_is_a_usage_error(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as exit_:
            load(arguments, {})
        assert exit_.value.code == 2
        assert arguments[0] in capsys.readouterr().err

    @pytest.mark.parametrize("limit", [["--keep-days", "1"], ["--keep-bytes", "1MiB"]])
    def test_a_log_in_memory_knows_no_limit_but_the_number_of_messages(
        self, limit: list[str]
    ) -> None:
        output = error_of("--log", "memory", *limit)
        assert output == (
            "--log memory keeps the newest --keep-messages; leave out --keep-days and --keep-bytes"
        )


class TestActions:
    def test_only_a_flag_asks_for_one(self, write_file: WriteFile) -> None:
        assert load(["--check", "/data"], {}).check == Path("/data")
        assert load(["--backup", "/copy"], {}).backup == Path("/copy")
        assert load([], {"CHATD_CHECK": "/data", "CHATD_BACKUP": "/copy"}).check is None
        assert "there is no setting check" in error_of("--config", write_file("check = '/data'"))


class TestSwitches:
    @pytest.mark.parametrize(
        ("arguments", "is_on"),
        [
            ([], False),
            (["--print-messages"], True),
            (["--print-messages", "yes"], True),
            (["--print-messages", "no"], False),
            (["--print-messages", "--print-messages", "off"], False),
        ],
    )
    def test_a_flag_alone_means_yes_and_the_last_one_counts(
        self, arguments: list[str], *, is_on: bool
    ) -> None:
        assert load(arguments, {}).logging.print_messages is is_on

    @pytest.mark.parametrize("text", ["yes", "TRUE", "on", "1"])
    def test_the_environment_says_it_in_words(self, text: str) -> None:
        assert load([], {"CHATD_PRINT_MESSAGES": text}).logging.print_messages

    @pytest.mark.parametrize("value", ["true", '"yes"'])
    def test_the_file_may_use_what_toml_has_for_it(self, value: str, write_file: WriteFile) -> None:
        path = write_file(f"print_messages = {value}")
        assert load(["--config", path], {}).logging.print_messages

    def test_anything_else_is_refused(self) -> None:
        assert error_of("--print-messages", "maybe") == (
            "--print-messages: 'maybe' is neither yes nor no"
        )


class TestLocales:
    def test_one_that_faker_knows_is_taken(self) -> None:
        assert load(["--feed-locale", "de_DE"], {}).feed.locale == "de_DE"

    def test_of_another_those_like_it_are_named(self) -> None:
        output = error_of("--feed-locale", "de_ED")
        assert output.startswith("--feed-locale: 'de_ED' is not a locale of Faker: ")
        assert "de_DE" in output


class TestHelp:
    def test_it_fits_a_screen(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        with pytest.raises(SystemExit) as exit_:
            load(["--help"], {})
        assert exit_.value.code == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) <= 44
        assert max(len(line) for line in lines) <= 80

    def test_it_names_every_option(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            load(["--help"], {})
        output = capsys.readouterr().out
        for name in OPTIONS:
            assert f"--{name.replace('_', '-')} " in output

    def test_the_version_is_printed(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as exit_:
            load(["--version"], {})
        assert exit_.value.code == 0
        assert capsys.readouterr().out.startswith("chatd ")
