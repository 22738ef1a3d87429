"""The room of test servers: in memory where there is enough, and nobody's leftovers stay in it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support import memory_disk


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A large enough disk in memory."""
    monkeypatch.setattr(memory_disk, "MEMORY", tmp_path)
    monkeypatch.setattr(memory_disk, "ENOUGH_BYTES", 1)
    return tmp_path


def test_leftovers_of_killed_session_are_removed_but_not_running_ones(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    (left := memory / f"exitflow-test-{ended.pid}-postgres-x").mkdir()
    (foreign := memory / "exitflow-test-mine").mkdir()
    running = memory_disk.make_directory("postgres")
    # When memory is scarce, its use is given up.
    monkeypatch.setattr(memory_disk, "ENOUGH_BYTES", 10**18)
    memory_disk.remove_leftovers()
    assert not left.exists()
    assert foreign.exists()
    assert running.parent == memory
    assert f"-{os.getpid()}-" in running.name


def test_with_little_memory_the_data_is_on_a_disk(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_disk, "ENOUGH_BYTES", 10**18)
    assert memory_disk.parent() == Path(tempfile.gettempdir())


def test_a_machine_without_such_a_disk_uses_its_temporary_directory(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_disk, "MEMORY", memory / "missing")
    assert memory_disk.parent() == Path(tempfile.gettempdir())
