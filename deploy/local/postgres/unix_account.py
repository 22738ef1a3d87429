"""The unprivileged account for servers of a stack started by root.

PostgreSQL refuses to run as root, and no network server needs to. A stack of an ordinary user runs everything
as the same user.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ConfigurationError

ACCOUNT = "nobody"
REACHABLE_BY_GROUP = 0o710


@dataclass(frozen=True)
class Account:
    """A user of this machine, by its numbers."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """Return the servers' account; None for the current user, unless root.

    Raises
    ------
    ConfigurationError
        We are root and the machine has no unprivileged account.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise ConfigurationError(f"root cannot run PostgreSQL, and this machine has no user {ACCOUNT!r}") from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def make_passable(directory: Path, account: Account | None) -> None:
    """Make a directory of ours if it is missing, and let `account` pass through it, not list it.

    Raises
    ------
    ConfigurationError
        A parent is closed to the account, and not ours to change.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if account is None:
        return
    require_reachable(directory.parent, account)
    if not _may_pass(directory, account):
        os.chown(directory, -1, account.gid)
        directory.chmod(stat.S_IMODE(directory.stat().st_mode) | REACHABLE_BY_GROUP)


def make_owned(directory: Path, account: Account | None) -> None:
    """Make a private directory (mode 700) of ours if it is missing and give it to `account`."""
    directory.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(directory, account.uid, account.gid)


def make_private(file: Path, account: Account | None) -> None:
    """Let only `account` read and write a file."""
    file.chmod(0o600)
    if account is not None:
        os.chown(file, account.uid, account.gid)


def require_reachable(path: Path, account: Account | None) -> None:
    """Raise ConfigurationError, naming the directory, unless `account` can reach `path`."""
    closed = first_closed(path, account)
    if closed is not None and account is not None:
        raise ConfigurationError(
            f"user {account.name}, who runs the servers, cannot pass through {closed}; "
            f"choose a data directory elsewhere, or `chmod o+x {closed}`"
        )


def first_closed(path: Path, account: Account | None) -> Path | None:
    """Return the outermost directory of `path` (itself included) closed to `account`, if any."""
    if account is None:
        return None
    resolved = path.resolve()
    way = [*reversed(resolved.parents), resolved]
    return next((part for part in way if not _may_pass(part, account)), None)


def _may_pass(path: Path, account: Account) -> bool:
    status = path.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
