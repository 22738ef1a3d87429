"""Making of the archive of Kafka's classes: a broker starts and writes down its loaded classes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from deploy.local.kafka.apache import QUICK_START, ApacheKafka
from deploy.local.kafka.class_archive import FILE, archive_entry
from deploy.local.kafka.java import find_java
from deploy.local.postgres.unix_account import make_passable, server_account
from deploy.local.processes.ports import free_port
from deploy.local.state.cache import cache_root, cached

_STOP_LIMIT_S = 300
"""Writing the archive computes for some seconds; on a busy machine, for minutes."""


def ensure_class_archive(on_progress: Callable[[str], None]) -> None:
    """Make the archive unless it was tried before; if Java cannot make one, Kafka starts without.

    Raises
    ------
    ConfigurationError, Unavailable
        The broker does not start; the message says why.
    """
    entry = archive_entry(find_java(server_account()))
    if not (cache_root() / entry).is_dir():
        on_progress("archiving the classes of Apache Kafka, this once")
        cached(entry, _archive)


def _archive(target: Path) -> None:
    directory = Path(tempfile.mkdtemp(prefix="exitflow-kafka-"))
    try:
        # The account of the servers may not write into the cache.
        make_passable(directory, server_account())
        made = directory / "log" / FILE
        _run_broker(directory, f"-XX:ArchiveClassesAtExit={made}")
        if made.exists():
            shutil.copyfile(made, target / FILE)
            (target / FILE).chmod(0o644)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run_broker(directory: Path, option: str) -> None:
    port = free_port(str(directory))
    controller_port = free_port(str(directory), avoid={port})
    broker = ApacheKafka(directory, port, controller_port, jvm=(*QUICK_START, option))
    broker.stop_limit_s = _STOP_LIMIT_S
    try:
        broker.start()
    finally:
        broker.stop()
