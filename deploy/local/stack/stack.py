"""The local stack as the command line sees it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.local.processes.registry import SUPERVISOR, end_leftovers, read_processes
from deploy.local.stack.detached import start_detached
from deploy.local.stack.foreground import run_in_foreground
from deploy.local.stack.options import StackOptions
from deploy.local.stack.status import ProcessStatus, StackStatus, look_at
from deploy.local.state.data_directory import DataDirectory, default_data_dir
from deploy.local.state.stack_file import read_stack_file
from shared.clock import SystemClock

__all__ = [
    "ProcessStatus",
    "StackOptions",
    "StackStatus",
    "default_data_dir",
    "down",
    "read_stack",
    "status",
    "up",
    "up_detached",
]

DOWN_LIMIT_S = 120
_POLL_S = 0.1


def up(options: StackOptions, on_progress: Callable[[str], None]) -> int:
    """Run a stack until SIGINT or SIGTERM; return the command's exit status.

    0: stopped on request. 1: failed to start or continue, or runs already; `on_progress` received the reason.
    """
    return run_in_foreground(options, on_progress, lambda: None)


def up_detached(options: StackOptions, on_progress: Callable[[str], None]) -> int:
    """Start a stack in the background; return 0 once every process is ready, else report why not to `on_progress`."""
    return start_detached(options, on_progress)


def down(data_dir: Path, on_progress: Callable[[str], None]) -> int:
    """Stop the stack, and whatever a killed one left; 0 when nothing of it runs, 1 if it would not end."""
    directory = DataDirectory(data_dir)
    if not directory.is_locked():
        left = end_leftovers(directory.process_file)
        directory.stack_file.unlink(missing_ok=True)
        on_progress(f"ended {', '.join(left)}" if left else f"no stack is running in {directory.root}")
        return 0
    entry = read_processes(directory.process_file).get(SUPERVISOR)
    supervisor = entry.running() if entry else None
    if supervisor is None:
        on_progress(f"the stack in {directory.root} is only just starting or ending; try again")
        return 1
    on_progress(f"stopping the stack in {directory.root}")
    supervisor.send_signal(signal.SIGTERM)
    return _await_end(directory, supervisor.pid, on_progress)


def status(data_dir: Path) -> StackStatus:
    """Return every process of the stack: running, ready, start time and number of restarts."""
    return look_at(DataDirectory(data_dir))


def read_stack(data_dir: Path) -> dict[str, Any]:
    """Return the running stack's ``stack.json``.

    Raises
    ------
    NotFound
        No stack is ready there.
    """
    return read_stack_file(DataDirectory(data_dir).stack_file)


def _await_end(directory: DataDirectory, supervisor: int, on_progress: Callable[[str], None]) -> int:
    clock = SystemClock()
    deadline = clock.monotonic() + DOWN_LIMIT_S
    while directory.is_locked():
        if clock.monotonic() > deadline:
            on_progress(f"the supervisor, process {supervisor}, has not ended within {DOWN_LIMIT_S} s")
            return 1
        time.sleep(_POLL_S)
    on_progress("stopped")
    return 0
