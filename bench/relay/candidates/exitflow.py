"""Our own relay: `exitflow run relay`, with its default settings, in one process or several."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sqlalchemy.engine import make_url

from bench.relay import records
from bench.relay.candidate import Insert, command
from bench.relay.place import Place
from deploy.local.processes.child import Command
from shared.ids import new_id, new_secret
from shared.outbox.writing import APPEND
from shared.postgres import roles
from shared.postgres.migrations import migrate
from shared.postgres.revisions import EXIT_QUALIFICATION

_PROGRAM = "from services.cli.main import main; main()"
_DIALECT = make_url("postgresql+psycopg://").get_dialect()
_RANGE = f"""
INSERT INTO exit_qualification.outbox_event (event_id, shard, topic, key, sequence, ce_type, ce_source, ce_subject,
                                             ce_time, traceparent, payload, signature)
SELECT gen_random_uuid(), hashtextextended({records.KEY_SQL}, 0) & 63, %(topic)s::text, {records.KEY_SQL},
       {records.SEQUENCE_SQL}, '{records.EVENT_TYPE}', '{records.SOURCE}', {records.KEY_SQL}, '{records.TIME}',
       '{records.TRACEPARENT}', {records.PAYLOAD_SQL},
       {records.SIGNATURE_SQL}
  FROM {records.RANGE_SQL} ORDER BY n
"""
_ONE = (
    str(APPEND.compile(dialect=_DIALECT()))
    .replace("INTO outbox_", "INTO exit_qualification.outbox_")
    .replace("current_schema()", "'exit_qualification'")
)


class Exitflow:
    """Measure the relay of this project."""

    share = 1.0
    has_outbox = True

    def __init__(self, name: str, processes: int) -> None:
        self.name = name
        self.setting = "one process, default settings" if processes == 1 else f"{processes} processes"
        self._processes = processes
        self._passwords = {role: new_secret() for role in roles.ROLES}

    def prepare(self, place: Place) -> None:
        """Create exit qualification's roles and schema by its migrations."""
        roles.create_roles(place.database_url, self._passwords)
        migrate(self._url(place, roles.MIGRATOR), EXIT_QUALIFICATION)

    def range_insert(self) -> str:
        """Return the rows of `shared.outbox.writing`, without the sequence table: relays do not read it."""
        return _RANGE

    def one_insert(self, place: Place, number: int) -> Insert:
        """Return the statement of `shared.outbox.writing.Outbox.append`."""
        payload = records.payload_of(number)
        return _ONE, {
            "event_ids": [new_id()],
            "topics": [place.topic],
            "keys": [records.key_of(number)],
            "types": [records.EVENT_TYPE],
            "sequences": [number + 1],
            "sources": [records.SOURCE],
            "subjects": [records.key_of(number)],
            "time": records.TIME,
            "traceparents": [records.TRACEPARENT],
            "payloads": payload,
            "payload_starts": [1],
            "payload_bytes": [len(payload)],
            "signatures": [records.lone_signature_of(number)],
        }

    def programs(self, place: Place, events: int) -> Sequence[Command]:  # noqa: ARG002  # it runs until stopped
        """Return the relays of the exit outbox."""
        environment = {
            "EXITFLOW_EXIT_DATABASE_URL": self._url(place, roles.RELAY),
            "EXITFLOW_KAFKA_BOOTSTRAP_SERVERS": place.bootstrap_servers,
            "EXITFLOW_RELAY_OUTBOXES": "exit",
        }
        argv = [sys.executable, "-c", _PROGRAM, "run", "relay"]
        return [command(place, f"relay-{n}", argv, environment) for n in range(self._processes)]

    def _url(self, place: Place, role: str) -> str:
        return roles.with_role(place.database_url, role, self._passwords[role])
