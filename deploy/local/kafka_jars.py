"""Apache Kafka's jars, resolved once by Maven and kept in the cache."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from deploy.local.cache import cache_root, cached
from shared.errors import ConfigurationError

VERSION = "4.3.0"
_ENTRY = f"kafka-{VERSION}"
_POM = Path(__file__).resolve().parent.parent / "kafka" / "pom.xml"
_RESOLVE_LIMIT_S = 600


def jars_cached() -> bool:
    """Whether they can be had without Maven."""
    return (cache_root() / _ENTRY).is_dir()


def kafka_jars() -> Path:
    """The directory of the jars.

    Raises
    ------
    ConfigurationError
        They are not in the cache, and there is no Maven, or it cannot resolve them.
    """
    return cached(_ENTRY, _resolve)


def require_maven() -> Path:
    """The ``mvn`` of PATH, or a ConfigurationError that says what it is needed for."""
    found = shutil.which("mvn")
    if found is None:
        raise ConfigurationError(f"no Maven on PATH to fetch Apache Kafka {VERSION} with")
    return Path(found)


def _resolve(target: Path) -> None:
    command = [
        str(require_maven()),
        "--quiet",
        "--batch-mode",
        "--color=never",
        "--strict-checksums",
        f"--file={_POM}",
        "dependency:copy-dependencies",
        f"-DoutputDirectory={target}",
        "-DincludeScope=runtime",
    ]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_RESOLVE_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"Maven did not fetch Apache Kafka {VERSION} in {_RESOLVE_LIMIT_S} s") from None
    if answer.returncode != 0 or not any(target.glob("kafka_*.jar")):
        raise ConfigurationError(f"Maven could not fetch Apache Kafka {VERSION}: {_reason(answer.stdout)}")
    for jar in target.glob("*.jar"):
        jar.chmod(0o644)


def _reason(output: str) -> str:
    """The first error of Maven's output, on one line."""
    found = re.search(r"\[ERROR\]\s*(.+)", output)
    return found.group(1).strip() if found else "it gave no reason"
