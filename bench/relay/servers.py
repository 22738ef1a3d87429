"""One PostgreSQL and one Kafka for the whole run, set up as for production on this machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka.apache import ApacheKafka
from deploy.local.postgres.postgres import EmbeddedPostgres
from deploy.local.postgres.unix_account import make_passable, server_account
from deploy.local.processes.ports import free_port
from shared.ids import new_secret

POSTGRES_SETTINGS = {
    "wal_level": "logical",  # Debezium needs it; all get it
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",  # no checkpoint, and so no full-page images, inside a measurement
    "max_replication_slots": "10",
    "max_wal_senders": "10",
    "log_min_duration_statement": "-1",
}
FULL_COMPILER = ("-Xms1g", "-Xmx1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")
"""Of a Kafka that is warmed up before anything is measured."""


@dataclass(frozen=True)
class Servers:
    """Addresses and processes of the servers; their CPU time is counted.

    Attributes
    ----------
    postgres_socket:
        Directory of PostgreSQL's socket; None without one.
    kafka_jvm:
        Options of Kafka's Java machine.
    """

    admin_url: str
    bootstrap_servers: str
    postgres_pid: int
    kafka_pid: int
    directory: Path
    postgres_socket: Path | None
    kafka_jvm: Sequence[str]


@contextmanager
def work_directory() -> Iterator[Path]:
    """Create a temporary directory accessible to the servers' account; removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="exitflow-bench-"))
    try:
        make_passable(directory, server_account())
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def running_servers(directory: Path, jvm: Sequence[str] = FULL_COMPILER) -> Iterator[Servers]:
    """Start both servers, durable, with these options of Kafka's Java machine; stop them at the end."""
    data = directory / "postgres"
    postgres = EmbeddedPostgres(data, free_port(str(data)), new_secret(), settings=POSTGRES_SETTINGS)
    logs = directory / "kafka"
    port = free_port(str(logs))
    kafka = ApacheKafka(logs, port, free_port(str(logs), avoid={port}), jvm=jvm)
    try:
        postgres.start()
        kafka.start()
        yield _of(postgres, kafka, directory, jvm)
    finally:
        kafka.stop()
        postgres.stop()


def _of(postgres: EmbeddedPostgres, kafka: ApacheKafka, directory: Path, jvm: Sequence[str]) -> Servers:
    assert postgres.pid is not None
    assert kafka.pid is not None
    pids = postgres.pid, kafka.pid
    return Servers(postgres.admin_url, kafka.bootstrap_servers, *pids, directory, postgres.socket, jvm)
