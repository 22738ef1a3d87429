"""Revisions of the two histories of `alembic/`, read from the names of their files.

Every process compares the schema's revision with its own; loading Alembic for that takes as long as the rest of the
process's start.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

EXIT_QUALIFICATION = "exit_qualification"
TRADE_MANAGEMENT = "trade_management"
HISTORIES = (EXIT_QUALIFICATION, TRADE_MANAGEMENT)
SCRIPTS = Path(__file__).resolve().parents[2] / "alembic"


@cache
def revisions(history: str) -> tuple[str, ...]:
    """Return every revision of a history, the oldest first; a file is named ``<revision>_<what it does>.py``."""
    return tuple(sorted(script.name.partition("_")[0] for script in (SCRIPTS / history).glob("V*_*.py")))


def head_revision(history: str) -> str:
    """Return the newest revision of a history."""
    return revisions(history)[-1]


def is_newer(history: str, revision: str) -> bool:
    """Return True if the revision comes after every one that this version of the code has."""
    return revision > head_revision(history)
