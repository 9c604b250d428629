"""The layers of the packages: the test reads every import statement and runs none of them."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

CHECKOUT: Final = Path(__file__).parent.parent
PACKAGES: Final = ("common", "chatd", "chatctl")

LAYERS: Final = {
    "common": (
        {"system"},
        {"protocol"},
        {"messages"},
        {"timing", "manifest"},
        {"names", "values", "entities"},
    ),
    "chatd": (
        {"__main__"},
        {"server"},
        {"app"},
        {"feed_source", "logging_setup"},
        {"net"},
        {"services"},
        {"core"},
        {"messagelog"},
        {"config"},
    ),
    "chatctl": (
        {"__main__"},
        {"commands"},
        {"chat", "timestamp", "share"},
        {"cli"},
        {"client"},
        {"errors"},
    ),
    "chatctl.share": ({"storage", "planner"},),
}
"""The parts of a package from top to bottom. A part imports from lower lines only.

A part that no line names is above all lines, except the package's own ``__init__``, which is below.
"""

INDEPENDENT: Final = ("chatd.services", "chatctl.commands")
"""Packages whose modules never import each other."""

SYSTEM: Final = frozenset(
    {"asyncio", "builtins.open", "os", "pathlib", "selectors", "shutil", "socket", "ssl"}
    | {"sqlite3", "tempfile", "threading", "uvloop"}
)
"""What reaches the operating system: event loops, sockets, threads, files."""

NETWORK: Final = frozenset({"asyncio", "selectors", "socket", "ssl", "uvloop"})

CONCURRENCY: Final = NETWORK | {"concurrent", "threading"}

CONCURRENT: Final = {
    "chatd.core.session": "has a counter that can be waited for",
    "chatd.feed_source": "generates in a thread",
    "chatd.messagelog.sqlite.group_commit": "has futures and a timer on the event loop",
    "chatd.messagelog.sqlite.thread": "is the threads of the log",
    "chatd.net": "has the sockets",
    "chatd.server": "listens, and handles signals",
}
"""The only parts of chatd that use event loops, sockets or threads themselves, and why."""

FORBIDDEN: Final = {
    "common": {"chatd", "chatctl"},
    **{f"common.{part}": SYSTEM for layer in LAYERS["common"] for part in layer - {"system"}},
    "chatd": {"chatctl"},
    "chatctl": {"chatd"},
    "chatctl.share.planner": SYSTEM,
}
"""What the modules of a package never import. Of `common`, only `system` reaches the system."""


class Import(NamedTuple):
    """One dotted module name that one module imports, and the line that says so."""

    importer: str
    imported: str
    place: str


def imports(root: Path) -> Iterator[Import]:
    """Yield every import below `root`, and ``builtins.open`` for every call of it."""
    for package in PACKAGES:
        for path in sorted(root.glob(f"{package}/**/*.py")):
            file = path.relative_to(root)
            parents = file.parent.parts
            importer = ".".join(parents if file.stem == "__init__" else (*parents, file.stem))
            for node in ast.walk(ast.parse(path.read_bytes(), filename=str(file))):
                for imported in imported_by(node, parents, root):
                    yield Import(importer, imported, f"{file}:{getattr(node, 'lineno', 0)}")


def imported_by(node: ast.AST, parents: tuple[str, ...], root: Path) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            package = parents[: len(parents) - level + 1] if level else ()
            source = ".".join((*package, module) if module else package)
            for alias in names:
                submodule = f"{source}.{alias.name}"
                path = root / submodule.replace(".", "/")
                is_module = path.is_dir() or path.with_suffix(".py").is_file()
                yield submodule if is_module else source
        case ast.Call(func=ast.Name(id="open")):
            yield "builtins.open"


def violations(root: Path) -> list[str]:
    """Return one line for every import below `root` that breaks a rule."""
    return [
        f"{found.place}: {rule}"
        for found in imports(root)
        for rule in broken_rules(found.importer, found.imported)
    ]


def broken_rules(importer: str, imported: str) -> Iterator[str]:
    for package, names in FORBIDDEN.items():
        if is_inside(importer, package) and any(is_inside(imported, name) for name in names):
            yield f"{package} never imports {imported}"
    is_allowed = any(is_inside(importer, name) for name in CONCURRENT)
    is_concurrent = any(is_inside(imported, name) for name in CONCURRENCY)
    if is_inside(importer, "chatd") and is_concurrent and not is_allowed:
        yield f"chatd.{part(importer, 'chatd')} never imports {imported}"
    for package in INDEPENDENT:
        upper, lower = part(importer, package), part(imported, package)
        if upper and lower and upper != lower and "__init__" not in (upper, lower):
            yield f"{upper} and {lower} in {package} are independent"
    for package, layers in LAYERS.items():
        upper, lower = part(importer, package), part(imported, package)
        if upper and lower and upper != lower and points_up(upper, lower, layers):
            yield f"in {package}, {upper} is not above {lower}"


def is_inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def part(module: str, package: str) -> str | None:
    """Return the name directly below `package` that `module` is or belongs to."""
    if not is_inside(module, package):
        return None
    return module.removeprefix(package).strip(".").partition(".")[0] or "__init__"


def points_up(importer: str, imported: str, layers: tuple[set[str], ...]) -> bool:
    """Return whether the import leads to the same line or a higher one."""
    lines = {name: number for number, layer in enumerate(layers) for name in layer}
    lines["__init__"] = len(layers)
    upper, lower = lines.get(importer, -1), lines.get(imported, -1)
    return upper >= lower and (upper, lower) != (-1, -1)


def test_every_import_points_down() -> None:
    assert violations(CHECKOUT) == []


def test_no_class_name_occurs_twice() -> None:
    places = Counter(
        node.name
        for package in PACKAGES
        for path in CHECKOUT.glob(f"{package}/**/*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in places.items() if count > 1] == []


def test_every_package_is_read() -> None:
    assert {found.importer.partition(".")[0] for found in imports(CHECKOUT)} == set(PACKAGES)


@pytest.mark.parametrize(
    ("importer", "statement", "rule"),
    [
        ("common/protocol/codec", "import asyncio.streams", "common.protocol never imports"),
        ("common/protocol/codec", "from pathlib import Path", "common.protocol never imports"),
        ("common/protocol/codec", "table = open('t').read()", "never imports builtins.open"),
        ("common/messages/chat", "import common.protocol", "messages is not above protocol"),
        ("common/system/files", "from chatd import config", "common never imports chatd"),
        ("chatctl/client/client", "def f(): import chatd.server", "chatctl never imports chatd"),
        ("chatd/services/chat", "import asyncio", "chatd.services never imports asyncio"),
        ("chatd/core/router", "from threading import Thread", "chatd.core never imports threading"),
        ("chatd/services/chat", "from . import basic", "chat and basic in chatd.services"),
        ("chatd/services/chat", "from .basic import Basic", "chat and basic in chatd.services"),
        ("chatd/core/router", "from ..net import reader", "core is not above net"),
        ("chatd/messagelog/base", "import chatd.core.fanout", "messagelog is not above core"),
        ("chatd/server", "import chatd.__main__", "server is not above __main__"),
        ("chatctl/client/client", "import chatctl.cli", "client is not above cli"),
        ("chatctl/share/session", "from chatctl import chat", "share is not above chat"),
    ],
)
def test_an_import_that_points_up_is_named_with_its_place(
    checkout: Path, importer: str, statement: str, rule: str
) -> None:
    (checkout / f"{importer}.py").write_text(f"\n{statement}\n")

    (violation,) = violations(checkout)

    assert violation.startswith(f"{importer}.py:2: ")
    assert rule in violation


@pytest.mark.parametrize(
    ("importer", "statement"),
    [
        ("common/protocol/codec", "import time, msgspec"),
        ("common/system/files", "import os, asyncio, common.protocol"),
        ("chatd/__main__", "from chatd import server, config, __version__"),
        ("chatd/services/chat", "from ..core.router import Router"),
        ("chatd/net/reader", "import asyncio"),
        ("chatd/messagelog/base", "from . import memory"),
        ("chatctl/chat/screen", "from chatctl.client import Client"),
    ],
)
def test_an_import_that_points_down_or_stays_inside_is_allowed(
    checkout: Path, importer: str, statement: str
) -> None:
    (checkout / f"{importer}.py").write_text(statement)

    assert violations(checkout) == []


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the packages that the cases name, every module empty."""
    for module in (
        *("common/messages/chat", "common/protocol/codec", "common/system/files"),
        *("chatd/__main__", "chatd/server", "chatd/config", "chatd/net/reader"),
        *("chatd/services/basic", "chatd/services/chat", "chatd/core/router"),
        *("chatd/core/fanout", "chatd/messagelog/base", "chatd/messagelog/memory"),
        *("chatctl/client/client", "chatctl/cli/output", "chatctl/chat/screen"),
        "chatctl/share/session",
    ):
        path = tmp_path / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path
