"""A file system of a few megabytes, filled and freed by a test; it needs root and the right to mount."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

_BLOCK = bytes(64 * 1024)


@dataclass(frozen=True)
class SmallDisk:
    """A mounted file system.

    Attributes
    ----------
    path:
        Its root directory.
    """

    path: Path

    @property
    def _ballast(self) -> Path:
        return self.path / "ballast"

    def fill(self) -> None:
        """Take every byte left."""
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        disk = os.statvfs(self.path)
        try:
            # Most of it at once; other writers' new files, and the rest, block by block.
            with contextlib.suppress(OSError):
                os.posix_fallocate(descriptor, 0, max(1, int(disk.f_bavail * disk.f_frsize * 0.98)))
            for size in (len(_BLOCK), 4096, 1):
                self._append(descriptor, _BLOCK[:size])
        finally:
            os.close(descriptor)

    @staticmethod
    def _append(descriptor: int, block: bytes) -> None:
        try:
            while os.write(descriptor, block):
                pass
        except OSError:
            return

    def free(self) -> None:
        """Give back the bytes taken by `fill`."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[SmallDisk]:
    """A tmpfs of so many megabytes mounted on `directory`; the test is skipped where none can be mounted."""
    if not can_mount():
        pytest.skip("needs root and the right to mount a file system")
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "exitflow-test", str(directory))
    try:
        yield SmallDisk(directory)
    finally:
        # Lazily: a program left behind by a failed test may still hold a file.
        _run("umount", "--lazy", str(directory))


@cache
def can_mount() -> bool:
    """Return True if this process may mount a file system: root in a container often may not."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "exitflow-test", "/mnt"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)
