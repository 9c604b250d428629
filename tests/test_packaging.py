"""Packaging: the wheel works without the checkout, and the locks fit what setup.cfg asks for."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from configparser import ConfigParser
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.programs import require_library

CHECKOUT = Path(__file__).parent.parent
PACKAGES = {"chatctl", "chatd", "common"}


def run(*command: str | Path, cwd: Path) -> str:
    """Return what `command` prints without the checkout on its path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command} exited {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder outside the checkout."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network from a copy of the checkout, which stays untouched."""
    for requirement in build_requirements():
        require_library(requirement)
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    left_out = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")
    shutil.copytree(CHECKOUT, source, ignore=left_out)
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder)
    run(*build, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of a venv that has nothing but the wheel and a way to its libraries."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=home)
    # The libraries come from the venv that runs the tests, without the checkout that is installed
    # editable there: Python reads .pth files only in site-packages of the interpreter itself.
    (site_packages,) = home.glob("lib/python*/site-packages")
    (site_packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return home / "bin"


def test_the_wheel_holds_the_three_packages_and_nothing_else(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert any(name.endswith("/LICENSE") for name in names)


def test_every_module_of_the_checkout_is_in_the_wheel(wheel: Path) -> None:
    modules = {
        path.relative_to(CHECKOUT).as_posix()
        for package in PACKAGES
        for path in CHECKOUT.glob(f"{package}/**/*.py")
    }
    assert modules <= set(ZipFile(wheel).namelist())


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_an_installed_package_comes_from_the_wheel(
    scripts: Path, elsewhere: Path, package: str
) -> None:
    file = run(scripts / "python", "-c", f"print(__import__('{package}').__file__)", cwd=elsewhere)
    assert Path(file).is_relative_to(scripts.parent)


@pytest.mark.parametrize("program", ["chatd", "chatctl"])
def test_an_installed_script_and_its_module_give_the_same_help(
    scripts: Path, elsewhere: Path, program: str
) -> None:
    by_script = run(scripts / program, "--help", cwd=elsewhere)
    by_module = run(scripts / "python", "-m", program, "--help", cwd=elsewhere)
    assert program in by_script
    assert by_script == by_module


def build_requirements() -> list[str]:
    """Return what pyproject.toml names for building."""
    table = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    named: list[str] = table["build-system"]["requires"]
    return named


LOCKS = ["requirements.lock", "requirements-dev.lock"]


def pins(lock: str) -> list[str]:
    """Return the entries of a lock file, each with its hashes on one line, comments left out."""
    text = (CHECKOUT / lock).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_is_one_version_and_its_hashes(lock: str) -> None:
    pin = re.compile(r"[a-z0-9-]+==[\w.]+( ; [^@]+?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    assert [line for line in pins(lock) if not pin.fullmatch(line)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_registry(lock: str) -> None:
    assert "://" not in (CHECKOUT / lock).read_text()


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("requirements.lock", ["feed"]), ("requirements-dev.lock", ["feed", "plot", "dev"])],
)
def test_a_lock_has_what_the_package_asks_for(lock: str, extras: list[str]) -> None:
    versions = {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin in (Requirement(line.partition("--hash")[0]) for line in pins(lock))
        if pin.marker is None or pin.marker.evaluate()
    }
    unmet = [
        str(wanted)
        for wanted in asked_for(extras)
        if versions.get(canonicalize_name(wanted.name), "none") not in wanted.specifier
    ]
    assert unmet == [], "the lock is out of date: run `make lock`"


def asked_for(extras: list[str]) -> list[Requirement]:
    """Return what setup.cfg and pyproject.toml name for building and running with `extras`."""
    setup = ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    lists = [setup["options"]["install_requires"]]
    lists += [setup["options.extras_require"][extra] for extra in extras]
    named = [line for text in lists for line in text.split("\n") if line.strip()]
    return [Requirement(line) for line in (*build_requirements(), *named)]
