"""A directory open to servers under an unprivileged account; pytest's own is closed to them as root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import server_directory


@pytest.fixture
def directory() -> Iterator[Path]:
    """An empty directory of the test's own."""
    with server_directory("test") as path:
        yield path
