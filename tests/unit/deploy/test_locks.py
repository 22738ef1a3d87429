"""Installing a lock takes its versions, whatever was released since."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
INSTALLERS = ("Makefile", "deploy/image/Dockerfile", "bench/relay/peer_packages.py")
HASHED = "--require-hashes"


@pytest.mark.parametrize("path", INSTALLERS)
def test_a_lock_is_installed_without_looking_for_anything_else(path: str) -> None:
    installs = [line for line in (REPOSITORY / path).read_text().splitlines() if HASHED in line]
    assert len(installs) == 1
    assert "--no-deps" in installs[0]
