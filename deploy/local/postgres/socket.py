"""The server's socket in the file system: processes of this machine need no network to reach it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import make_url

LONGEST_PATH_BYTES = 103
"""Of a socket, on macOS; Linux allows 107."""


def socket_directory(data_dir: Path, port: int) -> Path | None:
    """Return the directory for the socket of the server in `data_dir`.

    None if the socket's path would be too long, or has a comma, where libpq would see a second server.
    """
    directory = data_dir.absolute() / "socket"
    path = f"{directory}/.s.PGSQL.{port}"
    return directory if len(path.encode()) <= LONGEST_PATH_BYTES and "," not in path else None


def by_socket(url: str, directory: Path | None) -> str:
    """Return the URL of the same database over the socket in `directory`; unchanged if there is no socket."""
    if directory is None:
        return url
    parts = make_url(url)
    without_host = parts.set(host="", port=None).render_as_string(hide_password=False)
    # SQLAlchemy would write a blank as +, which libpq leaves as it is.
    return f"{without_host}?host={quote(str(directory), safe='')}&port={parts.port}"
