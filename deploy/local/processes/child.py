"""One program started by us: its log, its death with ours, its end within a limit."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from deploy.local.postgres.unix_account import Account

_PR_SET_PDEATHSIG = 1
_ORPHANED_EXIT_STATUS = 125
LOG_KEPT_BYTES = 32 * 1024 * 1024
LOG_TAIL_BYTES = 16 * 1024


@dataclass(frozen=True)
class Command:
    """A command line and its way to be stopped.

    Attributes
    ----------
    stop_signal:
        Asks for an orderly end.
    force_signal:
        Follows when the limit has passed, before SIGKILL.
    death_signal:
        Signal from the kernel once the thread behind the program dies (Linux only).
    """

    argv: Sequence[str]
    log_file: Path
    directory: Path
    environment: Mapping[str, str] = field(repr=False)
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    force_signal: signal.Signals = signal.SIGKILL
    death_signal: signal.Signals = signal.SIGKILL


class Child:
    """A running program. Start it in a thread that outlives it."""

    def __init__(self, command: Command) -> None:
        """Start it, its output appended to its log.

        Raises
        ------
        OSError
            It cannot be started.
        """
        self.command = command
        self._asked = False
        account = command.account
        with _open_log(command.log_file) as log:
            self._process = subprocess.Popen(
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=command.directory,
                env=dict(command.environment),
                process_group=0,  # a Ctrl-C at the terminal must reach only us: we shut down in order
                preexec_fn=_dies_with_us(command.death_signal),  # noqa: PLW1509  # one prctl, without locks
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """Return its exit status (negative: the fatal signal); None while it runs."""
        return self._process.poll()

    def wait(self, limit_s: float) -> int:
        """Wait for the end and return the exit status; subprocess.TimeoutExpired after the limit."""
        return self._process.wait(limit_s)

    def stop(self, limit_s: float, force_limit_s: float = 5) -> None:
        """Ask it to end, unless it was asked before, then insist; returns when it has ended."""
        self.ask_to_stop()
        for wait_s, insist in ((limit_s, self.command.force_signal), (force_limit_s, signal.SIGKILL)):
            try:
                self._process.wait(wait_s)
            except subprocess.TimeoutExpired:
                self._process.send_signal(insist)
        self._process.wait()

    def ask_to_stop(self) -> None:
        """Send its stop signal, once: many a program takes the second for impatience."""
        if not self._asked:
            self._asked = True
            self._process.send_signal(self.command.stop_signal)


def last_lines(log_file: Path, count: int = 15) -> str:
    """Return the end of a log, for an error message; empty if there is none."""
    return "\n".join(read_from(log_file, 0).splitlines()[-count:])


def read_from(log_file: Path, offset: int) -> str:
    """Return a log's content from byte `offset` on, at most the last LOG_TAIL_BYTES; empty if unreadable."""
    try:
        with log_file.open("rb") as log:
            log.seek(max(offset, size_of(log_file) - LOG_TAIL_BYTES))
            return log.read().decode("utf-8", "replace")
    except OSError:
        return ""


def size_of(log_file: Path) -> int:
    """Return the size of a file in bytes, 0 if there is none."""
    try:
        return log_file.stat().st_size
    except OSError:
        return 0


def clean_environment(**variables: str) -> dict[str, str]:
    """Return PATH and the given variables: a server must not depend on the caller's shell."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", **variables}


def _open_log(path: Path) -> IO[bytes]:
    """Open an append-only file, readable by its owner alone; rotate an overlong one to ``.1``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_KEPT_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _dies_with_us(death_signal: signal.Signals) -> Callable[[], None] | None:
    """Run in the child between fork and exec, after the change of user, since a change resets the effect."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    starter = os.getpid()

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != starter:
            os._exit(_ORPHANED_EXIT_STATUS)

    return tie
