"""Debezium's PostgreSQL connector on Kafka Connect standalone, with its outbox event router."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg

from bench.relay import records
from bench.relay.candidate import Insert, command
from bench.relay.place import Place
from deploy.local.kafka.jars import copy_jars
from deploy.local.kafka.java import find_java
from deploy.local.processes.child import Command
from deploy.local.processes.ports import LOOPBACK, free_port
from deploy.local.state.cache import cached
from shared.ids import new_id

VERSION = "3.4.0.Final"
_POM = Path(__file__).resolve().parent.parent / "debezium" / "pom.xml"

_HEADERS = (
    *("ce_specversion", "ce_sequence", "content_type"),
    *("ce_type", "ce_source", "ce_subject", "ce_time", "traceparent"),
)
"""Columns for headers; the router itself adds the event's id as a ninth."""

_SCHEMA = f"""
CREATE TABLE outbox (
  id uuid PRIMARY KEY, aggregatetype text NOT NULL, aggregateid text NOT NULL, payload bytea NOT NULL,
  {", ".join(f"{name} text NOT NULL" for name in _HEADERS)}
);
CREATE PUBLICATION bench FOR TABLE outbox WITH (publish = 'insert');
"""
_COLUMNS = f"id, aggregatetype, aggregateid, payload, {', '.join(_HEADERS)}"
_RANGE = f"""
INSERT INTO outbox ({_COLUMNS})
SELECT gen_random_uuid(), %(topic)s::text, {records.KEY_SQL}, {records.PAYLOAD_SQL}, '1.0',
       {records.SEQUENCE_SQL}::text, 'application/json',
       '{records.EVENT_TYPE}', '{records.SOURCE}', {records.KEY_SQL}, '{records.TIME}', '{records.TRACEPARENT}'
  FROM {records.RANGE_SQL} ORDER BY n
"""
_ONE = f"""
INSERT INTO outbox ({_COLUMNS}) VALUES (%(id)s, %(topic)s, %(key)s, %(payload)s,
  {", ".join(f"%({name})s" for name in _HEADERS)})
"""

_WORKER = {
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "io.debezium.converters.BinaryDataConverter",
    "producer.compression.type": "lz4",
    "producer.acks": "all",
}
_TUNED_WORKER = {
    "header.converter": "org.apache.kafka.connect.storage.StringConverter",
    "producer.linger.ms": "5",
    "producer.batch.size": str(256 * 1024),
}
_CONNECTOR = {
    "name": "bench",
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "tasks.max": "1",
    "topic.prefix": "bench",
    "plugin.name": "pgoutput",
    "publication.name": "bench",
    "publication.autocreate.mode": "disabled",
    "table.include.list": "public.outbox",
    "snapshot.mode": "no_data",  # it begins where its slot was made
    "transforms": "outbox",
    "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
    "transforms.outbox.route.topic.replacement": "${routedByValue}",
    "transforms.outbox.table.fields.additional.placement": ",".join(
        f"{name}:header:{name.replace('content_type', 'content-type')}" for name in _HEADERS
    ),
}
_TUNED_CONNECTOR = {
    "max.batch.size": "16384",
    "max.queue.size": "65536",
    "poll.interval.ms": "5",
    "extended.headers.enabled": "false",
}
_JVM = ("-Xms256m", "-Xmx2g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")
"""As ``connect-standalone.sh`` starts it."""
_TUNED_JVM = ("-Xms2g", "-Xmx2g", "-server", "-XX:+UseParallelGC")
_TUNED_SETTING = "batch 16384, queue 65536, poll 5 ms, no extended headers, linger 5 ms, 256 KiB, parallel GC"


class Debezium:
    """One connector, as it comes or tuned."""

    share = 1.0
    has_outbox = True

    def __init__(self, name: str, *, tuned: bool) -> None:
        self.name = name
        self.setting = _TUNED_SETTING if tuned else "as it comes, lz4"
        self._tuned = tuned

    def prepare(self, place: Place) -> None:
        """Create the router's table, a publication, and the connector's replication slot."""
        debezium_jars()
        with psycopg.connect(place.database_url, autocommit=True) as connection:
            connection.execute(_SCHEMA)
            connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (place.name,))

    def range_insert(self) -> str:
        """Return the insert of rows with a column for each header."""
        return _RANGE

    def one_insert(self, place: Place, number: int) -> Insert:
        """Return the statement inserting one row."""
        event_id = str(new_id())
        headers = records.all_headers(number, event_id)
        return _ONE, {
            "id": event_id,
            "topic": place.topic,
            "key": records.key_of(number),
            "payload": records.payload_of(number),
            "content_type": headers["content-type"],
            **headers,
        }

    def programs(self, place: Place, events: int) -> Sequence[Command]:  # noqa: ARG002  # it runs until stopped
        """Return the worker with the connector."""
        worker = _write(place, "worker.properties", self._worker(place))
        connector = _write(place, "connector.properties", self._connector(place))
        argv = [
            str(find_java(None)),
            *(_TUNED_JVM if self._tuned else _JVM),
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            f"{debezium_jars()}/*",
            "org.apache.kafka.connect.cli.ConnectStandalone",
            str(worker),
            str(connector),
        ]
        return [command(place, "connect", argv)]

    def _worker(self, place: Place) -> dict[str, str]:
        port = free_port(str(place.directory))
        return {
            "bootstrap.servers": place.bootstrap_servers,
            "listeners": f"http://{LOOPBACK}:{port}",
            "offset.storage.file.filename": str(place.directory / "offsets"),
            # The jars lie on the class path.
            "plugin.discovery": "hybrid_warn",
            **_WORKER,
            **(_TUNED_WORKER if self._tuned else {}),
        }

    def _connector(self, place: Place) -> dict[str, str]:
        url = urlsplit(place.database_url)
        return {
            **_CONNECTOR,
            "database.hostname": str(url.hostname),
            "database.port": str(url.port),
            "database.user": str(url.username),
            "database.password": unquote(str(url.password)),
            "database.dbname": place.name,
            "slot.name": place.name,
            **(_TUNED_CONNECTOR if self._tuned else {}),
        }


def debezium_jars() -> Path:
    """Return the directory of the jars, fetched once by Maven; raise ConfigurationError without them."""
    return cached(
        f"debezium-{VERSION}",
        lambda target: copy_jars(_POM, target, f"Debezium {VERSION}", "debezium-connector-postgres-*.jar"),
    )


def _write(place: Place, name: str, properties: Mapping[str, str]) -> Path:
    path = place.directory / name
    path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    return path
