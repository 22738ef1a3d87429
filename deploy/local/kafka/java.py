"""The machine's Java."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from deploy.local.postgres.unix_account import Account, first_closed
from shared.errors import ConfigurationError

OLDEST = 17
_ASK_LIMIT_S = 30
_VERSION = re.compile(r'version "([^"]+)"')


def find_java(account: Account | None) -> Path:
    """Return the ``java`` of JAVA_HOME or PATH, if new enough and executable for `account`.

    Raises
    ------
    ConfigurationError
        There is none; the message names the missing program.
    """
    java = _on_this_machine()
    if java is None:
        raise ConfigurationError(f"no Java: neither JAVA_HOME nor PATH has one, {OLDEST} or newer is needed")
    closed = first_closed(java.parent, account)
    if closed is not None and account is not None:
        raise ConfigurationError(f"no Java for user {account.name} can run: {java} is below {closed}")
    version = _major_version(java)
    if version < OLDEST:
        raise ConfigurationError(f"Java {version} at {java} is too old, {OLDEST} or newer is needed")
    return java


def _on_this_machine() -> Path | None:
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else None
    found = found or shutil.which("java")
    return Path(found).resolve() if found else None


@cache
def java_version(java: Path) -> str:
    """Return its version, such as ``17.0.15``; empty if unknown."""
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=_ASK_LIMIT_S, check=False)
    found = _VERSION.search(answer.stderr + answer.stdout)
    return found.group(1) if found else ""


def _major_version(java: Path) -> int:
    """Return its feature release; 0 if unknown (before 9 it reports 1)."""
    digits = re.match(r"\d+", java_version(java))
    return int(digits.group()) if digits else 0
