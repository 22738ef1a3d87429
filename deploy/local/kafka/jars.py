"""Apache Kafka's jars, resolved once by Maven and kept in the cache."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from deploy.local.state.cache import cache_root, cached
from shared.errors import ConfigurationError

VERSION = "4.3.0"
_ENTRY = f"kafka-{VERSION}"
_POM = Path(__file__).resolve().parents[2] / "kafka" / "pom.xml"
_RESOLVE_LIMIT_S = 600


def jars_cached() -> bool:
    """Return True if Maven is not needed."""
    return (cache_root() / _ENTRY).is_dir()


def kafka_jars() -> Path:
    """Return the directory of the jars.

    Raises
    ------
    ConfigurationError
        They are not in the cache, and there is no Maven, or it cannot resolve them.
    """
    return cached(_ENTRY, _resolve)


def require_maven() -> Path:
    """Return the ``mvn`` of PATH, or raise a ConfigurationError naming its purpose."""
    found = shutil.which("mvn")
    if found is None:
        raise ConfigurationError(
            f"no Maven on PATH to fetch Apache Kafka {VERSION} with; install it, or use --kafka tansu"
        )
    return Path(found)


def _resolve(target: Path) -> None:
    copy_jars(_POM, target, f"Apache Kafka {VERSION}", "kafka_*.jar")


def copy_jars(pom: Path, target: Path, what: str, proof: str) -> None:
    """Let Maven copy the runtime jars of a project file into a directory.

    Parameters
    ----------
    pom, target:
        The project file, and the directory for the jars.
    what:
        Their name in an error message.
    proof:
        Pattern of a file name expected afterwards.

    Raises
    ------
    ConfigurationError
        There is no Maven, or it cannot resolve them in time.
    """
    command = [
        str(require_maven()),
        "--quiet",
        "--batch-mode",
        "--color=never",
        "--strict-checksums",
        f"--file={pom}",
        "dependency:copy-dependencies",
        f"-DoutputDirectory={target}",
        "-DincludeScope=runtime",
    ]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_RESOLVE_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"Maven did not fetch {what} in {_RESOLVE_LIMIT_S} s") from None
    if answer.returncode != 0 or not any(target.glob(proof)):
        raise ConfigurationError(f"Maven could not fetch {what}: {_reason(answer.stdout)}")
    for jar in target.glob("*.jar"):
        jar.chmod(0o644)


def _reason(output: str) -> str:
    """Return the first error of Maven's output, on one line."""
    found = re.search(r"\[ERROR\]\s*(.+)", output)
    return found.group(1).strip() if found else "it gave no reason"
