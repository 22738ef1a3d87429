"""A claim-and-mark poller, as it is often written by hand: `bench.relay.poller`, one copy or two."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from psycopg.types.json import Jsonb

from bench.relay import records
from bench.relay.candidate import Insert, command
from bench.relay.candidates.one_table import OneTable
from bench.relay.place import Place
from deploy.local.processes.child import Command
from shared.ids import new_id

BATCH = 2_000
_SCHEMA = """
CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic text NOT NULL, key text NOT NULL, headers jsonb NOT NULL, payload bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  claimed_until timestamptz NOT NULL DEFAULT '-infinity', published_at timestamptz
);
CREATE INDEX outbox_unpublished ON outbox (id) WHERE published_at IS NULL;
"""
_RANGE = f"""
INSERT INTO outbox (topic, key, headers, payload)
SELECT %(topic)s::text, {records.KEY_SQL}, {records.ALL_HEADERS_SQL}, {records.PAYLOAD_SQL} FROM {records.RANGE_SQL}
 ORDER BY n
"""
_ONE = "INSERT INTO outbox (topic, key, headers, payload) VALUES (%(topic)s, %(key)s, %(headers)s, %(payload)s)"


class ClaimAndMarkPoller(OneTable):
    """FOR UPDATE SKIP LOCKED, an UPDATE to claim, an UPDATE to mark."""

    schema = _SCHEMA
    backlog = _RANGE

    def __init__(self, name: str, copies: int) -> None:
        many = "one copy" if copies == 1 else f"{copies} copies"
        super().__init__(name, f"SKIP LOCKED, batches of {BATCH:,}, {many}")
        self._copies = copies

    def one_insert(self, place: Place, number: int) -> Insert:
        """Return the statement inserting one row with all headers."""
        return _ONE, {
            "topic": place.topic,
            "key": records.key_of(number),
            "headers": Jsonb(records.all_headers(number, str(new_id()))),
            "payload": records.payload_of(number),
        }

    def programs(self, place: Place, events: int) -> Sequence[Command]:  # noqa: ARG002  # it runs until stopped
        """Return the copies."""
        given = {"database": place.database_url, "bootstrap": place.bootstrap_servers, "batch": BATCH}
        argv = [sys.executable, "-m", "bench.relay.poller"]
        environment = {"BENCH_POLLER": json.dumps(given)}
        return [command(place, f"poller-{n}", argv, environment) for n in range(self._copies)]
