"""What the documents point at exists: files, headings, modules; what users need is in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from chatctl import client
from chatctl.commands import COMMANDS
from chatd.config import OPTIONS
from common.system.settings import flag_of

CHECKOUT: Final = Path(__file__).parent.parent
DOCUMENTS: Final = sorted(
    [*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md"), CHECKOUT / "bench" / "README.md"]
)

_FENCED: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\]\(([^()\s]+)\)")
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PATH: Final = re.compile(
    r"`((?:chatctl|chatd|common|tests|bench|docs)/[\w./-]*?)(?:`|::)|`((?:tests|bench)(?:\.\w+)+)`"
)


def prose(document: Path) -> str:
    """Return a document without its fenced blocks."""
    return _FENCED.sub("", document.read_text())


def anchors(document: Path) -> set[str]:
    """Return what GitHub calls the headings of a document."""
    headings = (heading.lower() for heading in _HEADING.findall(prose(document)))
    return {re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> Iterator[str]:
    """Yield the links within the checkout that lead nowhere."""
    for link in _LINK.findall(prose(document)):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def missing_paths(document: Path) -> Iterator[str]:
    """Yield the paths and modules that the text names and that are not there."""
    for path, module in _PATH.findall(prose(document)):
        found = CHECKOUT / (path or module.replace(".", "/"))
        is_example = "NAME" in found.name
        if not (is_example or found.exists() or found.with_suffix(".py").exists()):
            yield path or module


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[str(path.relative_to(CHECKOUT)) for path in DOCUMENTS]
)
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    assert list(broken_links(document)) == []
    assert list(missing_paths(document)) == []


def test_an_anchor_is_written_as_github_writes_it(tmp_path: Path) -> None:
    document = tmp_path / "x.md"
    document.write_text("# Export & import\n\n[a](#export--import) [b](#export) [c](y.md)\n")
    assert list(broken_links(document)) == ["#export", "y.md"]


def test_a_module_that_is_gone_is_found(tmp_path: Path) -> None:
    document = tmp_path / "x.md"
    document.write_text(
        "`chatd/net/nothing.py` and `chatd/net`, `tests.torture`, `bench.nothing`\n"
    )
    assert list(missing_paths(document)) == ["chatd/net/nothing.py", "bench.nothing"]


def test_the_page_about_the_python_api_names_all_of_it() -> None:
    page = (CHECKOUT / "docs" / "python.md").read_text()
    assert [name for name in client.__all__ if not re.search(rf"\b{name}\b", page)] == []


def test_the_examples_show_every_command() -> None:
    examples = (CHECKOUT / "README.md").read_text() + (CHECKOUT / "docs/chatctl.md").read_text()
    shown = set(re.findall(r"^\$ chatctl (\S+)", examples, re.MULTILINE))
    assert shown == set(COMMANDS)


def test_the_page_about_operations_names_every_option_of_the_daemon() -> None:
    page = (CHECKOUT / "docs" / "operations.md").read_text()
    named = set(re.findall(r"--[a-z-]+", page))
    assert set(map(flag_of, OPTIONS)) <= named
