"""The Python of a bench: its build makes a difference of a fifth and more (decision 167)."""

from __future__ import annotations

import platform
import sys


def interpreter() -> str:
    """Return the version of this Python, and whether it is the system's."""
    origin = "of the system" if sys.base_prefix == "/usr" else "not of the system"
    return f"{platform.python_version()}, {origin}"
