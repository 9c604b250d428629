"""The command line itself: help, mistakes, completion, exit codes; no server needed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server

import pytest

from chatctl import commands
from chatctl.__main__ import main
from tests.support.chatctl_process import run
from tests.support.ports import reserve_port

HEAVY = {"asyncio", "msgspec", "prompt_toolkit", "rich", "shtab", "importlib.metadata", "tomllib"}
PAGES = [[], *([name] for name in commands.COMMANDS)]


@pytest.mark.parametrize("command", PAGES, ids=lambda command: " ".join(command) or "chatctl")
def test_every_help_fits_a_screen_and_shows_an_example(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*command, "--help"])

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert any(line.startswith(f"example: {'' if command else 'chatctl'}") for line in lines)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_that_takes_long(option: str) -> None:
    script = (
        "import sys\n"
        "from chatctl.__main__ import main\n"
        "try:\n"
        f"    main([{option!r}])\n"
        "except SystemExit:\n"
        f"    print(sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert shown.stdout.splitlines()[-1] == "[]"


def test_a_command_imports_no_other_command() -> None:
    script = (
        "import sys\n"
        "from chatctl.__main__ import main\n"
        "try:\n"
        "    main(['who', '--help'])\n"
        "except SystemExit:\n"
        "    print(*(name for name in sys.modules if name.startswith('chatctl.commands.')))\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert shown.stdout.splitlines()[-1] == "chatctl.commands.who"


def test_help_names_every_command_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])

    text = capsys.readouterr().out
    for name in commands.COMMANDS:
        assert f"\n  {name} " in text
    for code in ("0 ok", "2 usage", "3 cannot", "4 refused", "5 protocol", "6 timeout", "130 int"):
        assert code in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_is_given_its_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--print-completion", shell])

    script = capsys.readouterr().out
    for word in (*commands.COMMANDS, "server", "json"):
        assert word in script


def test_the_completion_for_bash_is_bash(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--print-completion", "bash"])

    script = capsys.readouterr().out
    subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=60)


def test_the_version_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--version"])

    assert capsys.readouterr().out.startswith("chatctl ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "COMMAND"),
        (["dance"], "invalid choice: 'dance'"),
        (["send", "ann"], "TEXT"),
        (["ping", "-c", "0"], "'0' is not a whole number of 1 or more"),
        (["ping", "-c", "٣"], "'٣' is not a whole number of 1 or more"),
        (["share", "--group", "g", "--port", "1_0"], "'1_0' is not a whole number from 0 to 65535"),
        (["ping", "-i", "5"], "'5' is not a duration (examples: 10ms"),
        (["who", "--serve", "x"], "unrecognized arguments"),
    ],
)
def test_a_mistake_in_the_words_is_explained_with_code_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments)

    assert complaint in capsys.readouterr().err


def test_a_mistake_in_a_value_is_one_line_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--server", "a b", "who"]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("chatctl: --server: 'a b' is not an address")


def test_nobody_there_is_one_line_with_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    with reserve_port() as port:
        assert main(["who", "--server", f":{port}"]) == 3

    expected = f"cannot connect to 127.0.0.1:{port}: connection refused; is chatd running there?"
    assert capsys.readouterr().err == f"chatctl: {expected}\n"


def test_a_server_that_says_nothing_is_code_6(capsys: pytest.CaptureFixture[str]) -> None:
    with create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        assert main(["echo", "hi", "--server", f":{port}", "--timeout", "500ms"]) == 6

    assert capsys.readouterr().err == "chatctl: no answer came within 0.5 s\n"


def test_a_server_that_says_something_else_is_code_5() -> None:
    with banner(b"SSH-2.0-OpenSSH_9.6\r\n") as port:
        result = run("echo", "hi", "--server", f":{port}")

    assert result.code == 5
    assert result.err.startswith(
        f"chatctl: 127.0.0.1:{port} does not speak the chatd protocol (not JSON: "
    )
    assert result.err.count("\n") == 1


def test_an_option_may_stand_on_either_side_of_the_command() -> None:
    with reserve_port() as port:
        for arguments in (["--server", f":{port}", "who"], ["who", "--server", f":{port}"]):
            assert main(arguments) == 3


def test_the_config_file_tells_where_the_server_is(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / "my.toml"
    file.write_text('server = "no.such.host.invalid:7"')

    assert main(["who", "--config", str(file)]) == 3

    error_output = capsys.readouterr().err
    assert error_output.startswith("chatctl: cannot connect to no.such.host.invalid:7: ")
    assert error_output.endswith("; is the name right?\n")


@contextmanager
def banner(text: bytes) -> Iterator[int]:
    """Listen on a port and have `text` said to the first who connects."""
    script = (
        "import socket, sys\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "print(server.getsockname()[1], flush=True)\n"
        "peer, _ = server.accept()\n"
        f"peer.sendall({text!r})\n"
        "while peer.recv(1024): pass\n"
        "peer.close(); server.close()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        try:
            yield int(it.stdout.readline())
        finally:
            it.kill()
