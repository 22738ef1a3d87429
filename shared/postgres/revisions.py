"""Revisions of the two histories of `alembic/`, read from their files without Alembic.

Every process compares the schema's revision with its own; loading Alembic for it would take as long as the rest of
the process's start.
"""

from __future__ import annotations

import re
import sysconfig
from functools import cache
from pathlib import Path

from shared.errors import ConfigurationError

EXIT_QUALIFICATION = "exit_qualification"
TRADE_MANAGEMENT = "trade_management"
HISTORIES = (EXIT_QUALIFICATION, TRADE_MANAGEMENT)
INSTALLED = "share/exitflow/alembic"
"""Place of the revisions in an installed package; beside the packages, Alembic itself has their folder's name."""


def _scripts() -> Path:
    source = Path(__file__).resolve().parents[2] / "alembic"
    return source if (source / EXIT_QUALIFICATION).is_dir() else Path(sysconfig.get_path("data")) / INSTALLED


SCRIPTS = _scripts()
_DOWN_REVISION = re.compile(r'^down_revision = (?:None|"(\w+)")$', re.MULTILINE)


@cache
def revisions(history: str) -> tuple[str, ...]:
    """Return every revision of a history in the order of application; numbers may be in another order.

    A file is named ``<revision>_<description>.py`` and has one line ``down_revision = …``.
    """
    following = {
        _down_revision(script): script.name.partition("_")[0] for script in (SCRIPTS / history).glob("V*_*.py")
    }
    chain: list[str] = []
    latest = following.get(None)
    while latest is not None:
        chain.append(latest)
        latest = following.get(latest)
    return tuple(chain)


def head_revision(history: str) -> str:
    """Return the newest revision of a history."""
    return revisions(history)[-1]


def is_newer(history: str, revision: str) -> bool:
    """Return True if this version of the code does not have the revision, so a newer one applied it."""
    return revision not in revisions(history)


def _down_revision(script: Path) -> str | None:
    found = _DOWN_REVISION.search(script.read_text())
    if found is None:
        raise ConfigurationError(f"{script} has no line `down_revision = …`")
    return found.group(1)
