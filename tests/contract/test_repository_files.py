"""The repository holds sources: nothing that was downloaded or built."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.documented_commands import ROOT

MOST_BYTES = 500_000
"""The largest file, the description of exit-api, has 350,000."""


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a clone")
def test_no_file_of_the_repository_is_large() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert len(files) > 1000
    assert [path.name for path in files if path.is_file() and path.stat().st_size > MOST_BYTES] == []
