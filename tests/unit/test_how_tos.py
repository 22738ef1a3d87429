"""The how-to pages are carried out on a copy of the source, block by block."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r'^```(python|diff) title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
COPIED = ("shared", "services", "tests", "pyproject.toml")
TESTS_OF_RULE = ("tests/unit/exit_qualification/test_engine_agrees_with_oracle.py", "tests/unit/shared/exit_rules")


def apply(source: Path, diff: str) -> None:
    """Apply hunks of whole lines; kept and removed lines must occur exactly once."""
    text = source.read_text()
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        assert text.count(before) == 1, f"{source.name}: {before!r} occurs {text.count(before)} times"
        text = text.replace(before, after)
    source.write_text(text)


def carry_out(page: str, folder: Path) -> list[str]:
    """Change a copy of the source as a page says and run the page's check; return the changed files."""
    for name in COPIED:
        copy(name, folder)
    blocks = BLOCK.findall((ROOT / "docs/how-to" / page).read_text())
    for kind, path, body in blocks:
        if kind == "diff":
            apply(folder / path, body)
        elif path == "check":
            run(folder, "-c", body)
        else:
            assert not (ROOT / path).exists()
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(body)
    return [path for _, path, _ in blocks if path != "check"]


def copy(name: str, folder: Path) -> None:
    """Copy a file or a folder of the repository."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    if (ROOT / name).is_file():
        shutil.copy(ROOT / name, folder / name)
    else:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))


def run(folder: Path, *arguments: str) -> None:
    """Run Python in a folder, on the source there."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", ["add-a-broker.md", "add-a-gate.md", "add-an-exit-rule.md"])
def test_each_step_of_the_page_works(page: str, tmp_path: Path) -> None:
    changed = carry_out(page, tmp_path)
    run(tmp_path, "-m", "ruff", "check", "--no-cache", *changed)
    run(tmp_path, "-m", "ruff", "format", "--no-cache", "--check", *changed)


def test_tests_accept_the_rule_of_the_page(tmp_path: Path) -> None:
    carry_out("add-an-exit-rule.md", tmp_path)
    run(tmp_path, "-m", "pytest", "-p", "no:cacheprovider", "-q", *TESTS_OF_RULE, "-k", "PROFIT or every_rule")
