"""The built package has everything that the source has and a process reads: an installation needs no clone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from shared.postgres.revisions import INSTALLED

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("services", "shared", "deploy")
NEEDED = ("alembic", *PACKAGES, "pyproject.toml", "README.md", "LICENSE")
NOT_INSTALLED = ("deploy/compose/", "deploy/image/", "deploy/locks/")
"""Files for containers and for building, read by no process."""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in the built wheel; it is built from a copy, because building writes beside the source."""
    place = tmp_path_factory.mktemp("package")
    for name in NEEDED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, place / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "built", "."]
    subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=120)
    (wheel,) = (place / "built").glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def files(folder: str) -> set[str]:
    """Return the files below a folder of the source."""
    found = (each.relative_to(ROOT) for each in (ROOT / folder).rglob("*") if each.is_file())
    return {str(each) for each in found if each.suffix != ".pyc"}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_package_has_every_file_of_its_source(packed: set[str], package: str) -> None:
    assert {each for each in files(package) if not each.startswith(NOT_INSTALLED)} - packed == set()


def test_the_package_has_every_migration(packed: set[str]) -> None:
    installed = {each.partition(INSTALLED)[2] for each in packed if INSTALLED in each}
    assert {each.removeprefix("alembic") for each in files("alembic")} == installed
