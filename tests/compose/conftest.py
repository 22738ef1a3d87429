"""The stack in containers, started once for all these tests, in a project and on ports of its own.

Run by `make test-compose` only: without TEST_COMPOSE in the environment nothing here is collected.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from tests.compose.containers import Containers

collect_ignore_glob = [] if os.environ.get("TEST_COMPOSE") else ["test_*.py"]


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    stack = Containers("exitflow-test", {f"PUBLISHED_{name}_PORT": str(free_port()) for name in Containers.PUBLISHED})
    stack.compose("down", "--volumes", "--remove-orphans")
    try:
        stack.compose("build")
        stack.compose("up", "--wait")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
