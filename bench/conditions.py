"""Conditions of a run that every bench states, without its time and place."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence


def command(bench: str, arguments: Sequence[str]) -> str:
    """Return the command of a run, without the folder of its output: results do not depend on it."""
    places = [n for n, argument in enumerate(arguments) if argument == "--output"]
    left_out = {n + step for n in places for step in (0, 1)}
    kept = [a for n, a in enumerate(arguments) if n not in left_out and not a.startswith("--output=")]
    return " ".join([f"python -m {bench}", *kept])


def machine() -> dict[str, str]:
    """Return cores, Python and the load of the moment."""
    return {"cores": str(os.cpu_count()), "Python": interpreter(), "load": load()}


def interpreter() -> str:
    """Return the version of this Python, and whether it is the system's: builds differ in speed (decision 167)."""
    origin = "of the system" if sys.base_prefix == "/usr" else "not of the system"
    return f"{platform.python_version()}, {origin}"


def load() -> str:
    """Return the load of the moment, and the bound for a quiet machine."""
    return f"{os.getloadavg()[0]:.1f} before the run; a quiet machine has less than 1"
