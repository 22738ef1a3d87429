"""Cache of downloads and copies, shared by all stacks of this user."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_root() -> Path:
    """Return ``/var/cache/exitflow`` for root, as root's home is closed to others; else below the user's cache."""
    if os.geteuid() == 0:
        return Path("/var/cache/exitflow")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "exitflow"


def cached(name: str, fill: Callable[[Path], None]) -> Path:
    """Return the cached directory `name`; `fill` creates it if missing.

    It appears atomically; of several concurrent processes one creates it.
    """
    root = cache_root()
    entry = root / name
    if entry.is_dir():
        return entry
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not entry.is_dir():
            _fill_whole(entry, fill)
    return entry


def _fill_whole(entry: Path, fill: Callable[[Path], None]) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix=f"{entry.name}.", dir=entry.parent))
    try:
        unfinished.chmod(0o755)
        fill(unfinished)
        unfinished.rename(entry)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
