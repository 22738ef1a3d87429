"""URLs of PostgreSQL, looked at before anything connects: libpq's complaints about a malformed one quote it."""

from __future__ import annotations

import re

import psycopg
from psycopg import conninfo
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from shared.errors import ConfigurationError

_SCHEME = re.compile(r"postgres(ql)?://")
_PORTS = re.compile(r"[0-9]*(,[0-9]*)*")


def checked_database_url(url: str, setting: str) -> str:
    """Return the URL unchanged if libpq and SQLAlchemy can parse it.

    Raises
    ------
    ConfigurationError
        It is not ``postgresql://role:password@host:port/database``, or its password holds characters written in a
        URL as %XX. Names the setting, and nothing of the URL.
    """
    if not _is_readable(url):
        raise ConfigurationError(
            f"{setting} is not a URL of PostgreSQL: postgresql://role:password@host:port/database, "
            "where % @ : / of a password are written as %25 %40 %3A %2F"
        )
    return url


def _is_readable(url: str) -> bool:
    if not _SCHEME.match(url):
        return False
    try:
        parts = conninfo.conninfo_to_dict(url)
        make_url(url)
    except (psycopg.ProgrammingError, ArgumentError, ValueError):
        return False
    # A bare @ or / in a password ends it early; errors would quote the rest of it.
    named = [str(parts.get(part) or "") for part in ("host", "dbname")]
    return not any("@" in name for name in named) and bool(_PORTS.fullmatch(str(parts.get("port") or "")))
