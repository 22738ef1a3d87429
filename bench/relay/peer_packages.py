"""Packages of other relays in a separate virtual environment, created once and cached."""

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


def peer_python() -> Path:
    """Return an interpreter able to import them.

    Raises
    ------
    ConfigurationError
        They cannot be installed.
    """
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    return cached(f"bench-peers-{sys.version_info.major}{sys.version_info.minor}-{digest}", _install) / "bin" / "python"


def _install(target: Path) -> None:
    # It is moved when it is whole, which its interpreter does not mind; scripts with a path in them are not used.
    _run([sys.executable, "-m", "venv", str(target)])
    pip = [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(REQUIREMENTS)])


def _run(argv: list[str]) -> None:
    answer = subprocess.run(argv, capture_output=True, text=True, timeout=_INSTALL_LIMIT_S, check=False)
    if answer.returncode != 0:
        raise ConfigurationError(f"the packages of other relays cannot be installed: {answer.stderr.strip()[-300:]}")
