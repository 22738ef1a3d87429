"""Conditions of a run."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from importlib.metadata import version

import confluent_kafka
import psutil
import psycopg

from bench.conditions import command, interpreter
from bench.relay.candidates.debezium import VERSION as DEBEZIUM
from bench.relay.peer_packages import REQUIREMENTS
from bench.relay.records import KEYS, PARTITIONS, PAYLOAD_BYTES
from bench.relay.run import Plan
from bench.relay.servers import POSTGRES_SETTINGS, Servers
from deploy.local.kafka.jars import VERSION as KAFKA
from deploy.local.kafka.java import find_java

_ASK_LIMIT_S = 30


def conditions(arguments: Sequence[str], plan: Plan, servers: Servers) -> dict[str, str]:
    """Return the conditions needed to repeat a run, without its time and place."""
    return {
        "command": command("bench.relay", arguments),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "records": f"{PAYLOAD_BYTES} B, {KEYS:,} keys, 9 headers, {PARTITIONS} partitions, lz4, acks=all",
        "backlog": f"{plan.events:,} events; the slow ones a part of it, see the table",
        "rounds": str(plan.rounds),
        "PostgreSQL": f"{_postgres_version(servers)}, durable; {_words(POSTGRES_SETTINGS)}",
        "Kafka": f"{KAFKA}, one broker; {' '.join(servers.kafka_jvm)}",
        "Debezium": f"{DEBEZIUM} on Kafka Connect {KAFKA} standalone",
        "Java": _java_version(),
        "Python": f"{interpreter()}, confluent-kafka {version('confluent-kafka')}, "
        f"librdkafka {confluent_kafka.libversion()[0]}, psycopg {psycopg.__version__}",
        "other relays": ", ".join(
            re.findall(r"^((?:faststream|txoutbox|asyncpg)\S*==\S+)", REQUIREMENTS.read_text(), re.M)
        ),
    }


def _postgres_version(servers: Servers) -> str:
    with psycopg.connect(servers.admin_url) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    assert row is not None
    return str(row[0])


def _java_version() -> str:
    answer = subprocess.run(
        [find_java(None), "-version"], capture_output=True, text=True, timeout=_ASK_LIMIT_S, check=False
    )
    found = re.search(r'version "([^"]+)"', answer.stderr + answer.stdout)
    return found.group(1) if found else "unknown"


def _words(settings: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items())
