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
BLOCK = re.compile(r"^```(python|diff) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COPIED = ("shared", "services/exit_qualification/domain", "tests/unit/exit_qualification")


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


@pytest.mark.parametrize("page", ["add-a-gate.md", "add-an-exit-rule.md"])
def test_each_step_of_the_page_works(page: str, tmp_path: Path) -> None:
    for folder in COPIED:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    blocks = BLOCK.findall((ROOT / "docs/how-to" / page).read_text())
    written = [path for kind, path, _ in blocks if kind == "python" and path != "check"]
    assert len(written) == 1, "one new file"
    for kind, path, body in blocks:
        if kind == "diff":
            apply(tmp_path / path, body)
        elif path != "check":
            assert not (ROOT / path).exists()
            (tmp_path / path).write_text(body)
    (check,) = (body for _, path, body in blocks if path == "check")
    done = subprocess.run(
        [sys.executable, "-c", check],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
