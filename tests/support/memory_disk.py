"""Where the servers of tests keep their data: in memory, if the machine offers enough of it as a file system.

Every test has a separate database, a thousand files to make and remove again; a disk spends more time on them
than the tests do. Remains of the servers of a killed session are removed by the next one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psutil

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 6 * 1024**3
_PREFIX = "exitflow-test-"


def make_directory(purpose: str) -> Path:
    """A new directory of this process; its owner removes it."""
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-{purpose}-", dir=parent()))


def parent() -> Path:
    """Where such directories are made: on a disk, if there is too little memory."""
    return MEMORY if _free_bytes(MEMORY) >= ENOUGH_BYTES else _disk()


def remove_leftovers() -> None:
    """Remove this account's directories of ended processes."""
    for directory in (found for room in (MEMORY, _disk()) for found in room.glob(f"{_PREFIX}*-*")):
        process = directory.name.removeprefix(_PREFIX).partition("-")[0]
        if directory.stat().st_uid == os.geteuid() and process.isdecimal() and not psutil.pid_exists(int(process)):
            if directory.is_mount():
                # A killed session could not take its small disk away.
                subprocess.run(["umount", "--lazy", str(directory)], check=True, capture_output=True)
            shutil.rmtree(directory, ignore_errors=True)  # another session may remove it at the same time


def _disk() -> Path:
    return Path(tempfile.gettempdir())


def _free_bytes(disk: Path) -> int:
    """Also bounded by the unused memory: such a file system promises more than there is."""
    return min(shutil.disk_usage(disk).free, psutil.virtual_memory().available) if disk.is_dir() else 0
