"""Archive of Kafka's classes, read and checked once by this machine's Java: a start then takes half the CPU time."""

from __future__ import annotations

from pathlib import Path

from deploy.local.kafka.jars import VERSION
from deploy.local.kafka.java import java_version
from deploy.local.state.cache import cache_root

FILE = "classes.jsa"


def archive_entry(java: Path) -> str:
    """Return the name of the archive's entry in the cache; another Java cannot use the archive."""
    return f"kafka-{VERSION}-classes-java-{java_version(java)}"


def archive_options(java: Path) -> list[str]:
    """Return the options to make Java use the archive; none if there is no archive."""
    archive = cache_root() / archive_entry(java) / FILE
    return [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []
