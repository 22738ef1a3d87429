"""Packages measured beside this project, each set in a separate virtual environment, created once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from deploy.local.state.cache import cached
from shared.errors import ConfigurationError

PEERS = Path(__file__).resolve().parent / "peers"
REQUIREMENTS = PEERS / "requirements.txt"
_INSTALL_LIMIT_S = 300


def peer_python(requirements: Path = REQUIREMENTS) -> Path:
    """Return an interpreter able to import the packages of a lock file, those of other relays by default.

    Raises
    ------
    ConfigurationError
        They cannot be installed.
    """
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    name = f"bench-peers-{sys.version_info.major}{sys.version_info.minor}-{digest}"
    return cached(name, lambda target: _install(requirements, target)) / "bin" / "python"


def _install(requirements: Path, target: Path) -> None:
    # It is moved when whole; its interpreter does not mind, and scripts with a path in them are not used.
    _run([sys.executable, "-m", "venv", str(target)])
    pip = [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(requirements)])


def _run(argv: list[str]) -> None:
    answer = subprocess.run(argv, capture_output=True, text=True, timeout=_INSTALL_LIMIT_S, check=False)
    if answer.returncode != 0:
        raise ConfigurationError(f"the packages of peers cannot be installed: {answer.stderr.strip()[-300:]}")
