"""Detect a program's resource shortage from its disk and its log."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

from deploy.local.processes.child import last_lines, read_from

_NO_SPACE, _READ_ONLY = os.strerror(errno.ENOSPC), os.strerror(errno.EROFS)
_NO_MEMORY, _NO_FILES = os.strerror(errno.ENOMEM), os.strerror(errno.EMFILE)
_PHRASES = {
    _NO_SPACE: _NO_SPACE,
    _READ_ONLY: _READ_ONLY,
    _NO_MEMORY: _NO_MEMORY,
    _NO_FILES: _NO_FILES,
    "database or disk is full": _NO_SPACE,
    "OutOfMemoryError": _NO_MEMORY,
    "MemoryError": _NO_MEMORY,
    "too many clients": "too many connections to PostgreSQL",
    "remaining connection slots": "too many connections to PostgreSQL",
}
"""Messages of programs that lack a resource, and the resource's name here."""


_ERROR_WORDS = ("FATAL", "PANIC", "ERROR", "Error", "Exception")
_SIGNALS = {int(each): each.name for each in signal.Signals}


def shortage(directory: Path, log_file: Path, log_from: int = 0) -> str:
    """Return the current or logged shortage, reading the log from byte `log_from` on; empty if none is known."""
    return _of_disk(directory) or _in_text(read_from(log_file, log_from))


def shortage_in(error: BaseException) -> str:
    """Return the shortage named by an error; empty if none."""
    return _in_text(str(error))


def told_end(status: int | None, log_file: Path) -> str:
    """Describe a program's end: the fatal signal, or its status and the log line with the cause."""
    if status is not None and status < 0:
        return f"ended by {_SIGNALS.get(-status, f'signal {-status}')}"
    why = _error_line(last_lines(log_file)) if status else ""
    return f"ended with status {status}" + (f": {why}" if why else "")


def _error_line(text: str) -> str:
    """Return the last line naming an error, else the last line; servers write more after an error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if any(word in line for word in _ERROR_WORDS)]
    return next(reversed(errors or lines), "")


def _of_disk(directory: Path) -> str:
    try:
        disk = os.statvfs(directory)
    except OSError as error:
        return error.strerror or str(error)
    if disk.f_flag & os.ST_RDONLY:
        return _READ_ONLY
    # Some file systems keep a block or two that no file gets.
    return _NO_SPACE if disk.f_blocks and disk.f_bavail * disk.f_frsize < 64 * 1024 else ""


def _in_text(text: str) -> str:
    return next((name for phrase, name in _PHRASES.items() if phrase in text), "")
