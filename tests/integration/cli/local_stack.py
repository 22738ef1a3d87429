"""A local stack of the command line's tests, started and stopped by `exitflow` itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import wanted_kafka
from tests.support.servers import server_directory

LIMIT_S = 200


def run_apart(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`exitflow` in a process of its own, as the stack's parent must be."""
    return subprocess.run(
        [sys.executable, "-m", "services.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ},
    )


@contextmanager
def running_stack(directory: str) -> Iterator[str]:
    """A stack, stopped afterwards."""
    started = run_apart("up", "--detach", "--data-dir", directory, "--kafka", wanted_kafka().value)
    try:
        assert started.returncode == 0, started.stderr
        yield directory
    finally:
        assert run_apart("down", "--data-dir", directory).returncode == 0


@pytest.fixture(scope="module")
def data_dir() -> Iterator[str]:
    """A running stack for the module's tests."""
    with server_directory("cli") as directory, running_stack(str(directory / "stack")) as running:
        yield running
