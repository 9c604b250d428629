"""The import rules of the house, held by reading every import statement without running one."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

CHECKOUT: Final = Path(__file__).parent.parent
PACKAGES: Final = ("common", "chatd", "chatctl")

EVENT_LOOP_AND_SOCKETS: Final = frozenset({"asyncio", "selectors", "socket", "ssl", "uvloop"})
FILES: Final = frozenset({"builtins.open", "io", "os", "pathlib", "shutil", "sqlite3", "tempfile"})

FORBIDDEN: Final = {
    "common": EVENT_LOOP_AND_SOCKETS | FILES | {"chatd", "chatctl"},
    "chatd": {"chatctl"},
    "chatd.services": EVENT_LOOP_AND_SOCKETS,
    "chatctl": {"chatd"},
}
"""What the modules of a package never import."""

ORDER: Final = {
    "chatd": (
        {"__main__"},
        {"server", "errands"},
        {"connection"},
        {"reader"},
        {"router"},
        {"services"},
        {"routes", "runs", "fanout", "identities"},
        {"roster"},
        {"session", "turn"},
        {"outbox"},
        {"dialects"},
        {"log"},
    ),
    "chatctl": (
        {"__main__"},
        {"commands"},
    ),
}
"""The rooms of a package from top to bottom: a room imports only from lines below its own.

A room that is not named stands below all lines, beside the others that are not named.
"""

APART: Final = ("chatd.services",)
"""Packages whose modules never import each other; only their ``__init__`` knows them all."""


class Import(NamedTuple):
    """One dotted module name that one module imports, and where it says so."""

    importer: str
    imported: str
    place: str


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def room(module: str, package: str) -> str:
    """Return the part of `module` directly below `package`; of the package itself, its own file."""
    below = module.removeprefix(package).strip(".")
    return below.partition(".")[0] or "__init__"


def modules(root: Path) -> Iterator[Path]:
    """Yield the file of every module, relative to `root`."""
    for package in PACKAGES:
        for path in sorted(root.glob(f"{package}/**/*.py")):
            yield path.relative_to(root)


def imports(root: Path) -> Iterator[Import]:
    """Yield every import, wherever it stands in a module, and ``builtins.open`` for calls of it."""
    for file in modules(root):
        package = file.parent.parts
        importer = ".".join(package if file.stem == "__init__" else (*package, file.stem))
        for node in ast.walk(ast.parse((root / file).read_bytes(), filename=str(file))):
            for imported in imported_by(node, package, root):
                yield Import(importer, imported, f"{file}:{getattr(node, 'lineno', 0)}")


def imported_by(node: ast.AST, package: tuple[str, ...], root: Path) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            parents = package[: len(package) - level + 1] if level else ()
            source = ".".join((*parents, module) if module else parents)
            for alias in names:
                submodule = f"{source}.{alias.name}"
                path = root / submodule.replace(".", "/")
                is_module = path.is_dir() or path.with_suffix(".py").is_file()
                yield submodule if is_module else source
        case ast.Call(func=ast.Name(id="open")):
            yield "builtins.open"


def violations(root: Path) -> Iterator[str]:
    """Yield one line for every import in the packages below `root` that breaks a rule."""
    for statement in imports(root):
        for broken in broken_rules(statement.importer, statement.imported):
            yield f"{statement.place}: {broken}"


def broken_rules(importer: str, imported: str) -> Iterator[str]:
    for package, names in FORBIDDEN.items():
        if inside(importer, package) and any(inside(imported, name) for name in names):
            yield f"{package} never imports {imported}"

    for package in APART:
        if inside(importer, package) and importer != package and inside(imported, package):
            one, other = room(importer, package), room(imported, package)
            if one != other:
                yield f"the modules of {package} stand apart, but {one} imports {other}"

    for package, lines in ORDER.items():
        if inside(importer, package) and inside(imported, package):
            upper, lower = room(importer, package), room(imported, package)
            if upper != lower and depth(upper, lines) >= depth(lower, lines) < len(lines):
                yield f"in {package}, {upper} does not stand above {lower}, which it imports"


def depth(name: str, lines: tuple[set[str], ...]) -> int:
    """Return the line of a room, counted from the top; that below all lines if it is not named."""
    return next((number for number, line in enumerate(lines) if name in line), len(lines))


def test_the_house_keeps_its_import_rules() -> None:
    assert list(violations(CHECKOUT)) == []


def test_every_package_is_read() -> None:
    assert {file.parts[0] for file in modules(CHECKOUT)} == set(PACKAGES)


@pytest.mark.parametrize(
    ("file", "source", "rule"),
    [
        ("common/codec.py", "import asyncio.streams", "common never imports asyncio"),
        ("common/codec.py", "from socket import socket", "common never imports socket"),
        ("common/codec.py", "import selectors", "common never imports selectors"),
        ("common/codec.py", "import msgspec, ssl", "common never imports ssl"),
        ("common/codec.py", "from pathlib import Path", "common never imports pathlib"),
        ("common/codec.py", "import os.path", "common never imports os.path"),
        ("common/codec.py", "table = open('t').read()", "common never imports builtins.open"),
        ("common/codec.py", "from chatd import router", "common never imports chatd"),
        ("common/codec.py", "import chatctl.client", "common never imports chatctl.client"),
        ("chatd/config.py", "import chatctl", "chatd never imports chatctl"),
        ("chatctl/client.py", "def f(): import chatd.server", "chatctl never imports chatd.server"),
        ("chatd/services/ping.py", "import asyncio", "chatd.services never imports asyncio"),
        ("chatd/services/ping.py", "from . import chat", "ping imports chat"),
        ("chatd/services/ping.py", "from .chat import Chat", "ping imports chat"),
        ("chatd/services/ping.py", "from chatd.services import chat", "ping imports chat"),
        ("chatd/services/ping.py", "from chatd.services import ALL", "ping imports __init__"),
        ("chatd/server.py", "import chatd.__main__", "server does not stand above __main__"),
        ("chatd/connection.py", "from . import server", "connection does not stand above server"),
        ("chatd/router.py", "import chatd.connection", "router does not stand above connection"),
        (
            "chatd/services/ping.py",
            "from ..router import X",
            "services does not stand above router",
        ),
        ("chatd/fanout.py", "import chatd.services", "fanout does not stand above services"),
        ("chatd/log/memory.py", "import chatd.fanout", "log does not stand above fanout"),
        ("chatd/log/memory.py", "import chatd.roster", "log does not stand above roster"),
        ("chatd/wheel.py", "from chatd.roster import R", "wheel does not stand above roster"),
        ("chatctl/client.py", "import chatctl.commands", "client does not stand above commands"),
    ],
)
def test_a_broken_rule_is_named_with_its_place(
    house: Path, file: str, source: str, rule: str
) -> None:
    (house / file).write_text(f"\n{source}\n")

    (violation,) = violations(house)

    assert violation.startswith(f"{file}:2: ")
    assert rule in violation


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("common/codec.py", "import time, msgspec"),
        ("common/codec.py", "from common.names import check"),
        ("common/codec.py", "from iolib import openness"),
        ("chatd/__main__.py", "from chatd import server, config, __version__"),
        ("chatd/connection.py", "import asyncio, common.codec, chatd.router"),
        ("chatd/services/__init__.py", "from chatd.services import chat, ping"),
        ("chatd/services/chat.py", "from ..roster import Roster"),
        ("chatd/log/memory.py", "from . import port"),
        ("chatd/wheel.py", "from chatd.config import Config"),
        ("chatctl/commands/who.py", "from chatctl.client import Client"),
    ],
)
def test_a_way_down_or_sideways_within_a_room_is_free(house: Path, file: str, source: str) -> None:
    (house / file).write_text(source)

    assert list(violations(house)) == []


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A checkout with every room that the cases name, all of them empty."""
    rooms = {
        "common": ("codec", "names"),
        "chatd": ("server", "connection", "router", "fanout", "roster", "wheel", "config"),
        "chatd/services": ("chat", "ping"),
        "chatd/log": ("port", "memory"),
        "chatctl": ("client",),
        "chatctl/commands": ("who",),
    }
    for package, modules in rooms.items():
        (tmp_path / package).mkdir()
        for module in ("__init__", *modules):
            (tmp_path / package / f"{module}.py").touch()
    return tmp_path
