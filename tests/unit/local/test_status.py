"""`exitflow status` while files cannot be written: the supervisor tells its state from memory."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from deploy.local.processes.registry import Entry, format_processes, write_processes
from deploy.local.stack.status import look_at
from deploy.local.state.data_directory import DataDirectory
from deploy.local.state.state_socket import asked, telling

RESTARTING = "restarting, attempt 7, No space left on device"


@pytest.fixture(params=["short", "long" * 40])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> DataDirectory:
    """A data directory, also one with a path too long for the address of a socket."""
    root = tmp_path / request.param
    root.mkdir()
    return DataDirectory(root)


def test_supervisor_answer_outweighs_the_process_file(directory: DataDirectory) -> None:
    running = Entry.of(os.getpid())
    assert running is not None
    write_processes(directory.process_file, {"postgres": running})
    said = format_processes({"postgres": Entry(restarts=6, problem=RESTARTING)})
    with telling(directory.state_socket, lambda: said):
        assert stat.S_IMODE(directory.state_socket.stat().st_mode) == 0o600
        (postgres,) = look_at(directory).processes
    assert (postgres.alive, postgres.ready, postgres.restarts, postgres.problem) == (False, False, 6, RESTARTING)
    (postgres,) = look_at(directory).processes
    assert postgres.alive
    assert not directory.state_socket.exists()


def test_socket_of_killed_supervisor_is_replaced_and_reports_nothing(directory: DataDirectory) -> None:
    directory.state_socket.touch()
    assert asked(directory.state_socket) is None
    with telling(directory.state_socket, lambda: b"two"):
        assert asked(directory.state_socket) == b"two"


def test_unresponsive_process_is_not_ready_and_reason_is_given(directory: DataDirectory) -> None:
    running = Entry.of(os.getpid(), 1, "http://127.0.0.1:9/readyz")
    assert running is not None
    write_processes(directory.process_file, {"relay": running.model_copy(update={"problem": RESTARTING})})
    (relay,) = look_at(directory).processes
    assert relay.alive
    assert relay.problem == f"does not answer (Connection refused) ({RESTARTING})"
