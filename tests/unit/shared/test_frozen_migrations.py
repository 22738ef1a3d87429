"""Applied migrations run the text they were written with: they import no live code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ALEMBIC = Path(__file__).resolve().parents[3] / "alembic"
SCRIPTS = sorted(path for path in ALEMBIC.rglob("*.py") if path.name != "env.py")


def imported_packages(path: Path) -> set[str]:
    """Return the top-level packages imported by a script."""
    packages: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            packages |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            packages.add((node.module or "").split(".")[0])
    return packages


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ALEMBIC)))
def test_migration_imports_no_live_code(path: Path) -> None:
    assert not imported_packages(path) & {"shared", "services", "deploy"}
