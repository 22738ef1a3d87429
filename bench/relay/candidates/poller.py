"""A claim-and-mark poller, as it is often written by hand: `bench.relay.poller`, one copy or two."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import psycopg
from psycopg.types.json import Jsonb

from bench.relay import records
from bench.relay.candidate import Insert, command
from bench.relay.place import Place
from deploy.local.child import Command
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


class ClaimAndMarkPoller:
    """FOR UPDATE SKIP LOCKED, an UPDATE to claim, an UPDATE to mark."""

    share = 1.0
    has_outbox = True

    def __init__(self, name: str, copies: int) -> None:
        self._name = name
        self._copies = copies

    @property
    def name(self) -> str:
        """Short and unique."""
        return self._name

    @property
    def setting(self) -> str:
        """How it is configured."""
        return f"SKIP LOCKED, batches of {BATCH:,}, {'one copy' if self._copies == 1 else f'{self._copies} copies'}"

    def prepare(self, place: Place) -> None:
        """Its table, with an index over what is not yet published."""
        with psycopg.connect(place.database_url) as connection:
            connection.execute(_SCHEMA)

    def range_insert(self) -> str:
        """Rows with all headers."""
        return _RANGE

    def one_insert(self, place: Place, number: int) -> Insert:
        """One row with all headers."""
        return _ONE, {
            "topic": place.topic,
            "key": records.key_of(number),
            "headers": Jsonb(records.all_headers(number, str(new_id()))),
            "payload": records.payload_of(number),
        }

    def programs(self, place: Place, events: int) -> Sequence[Command]:  # noqa: ARG002  # it runs until stopped
        """The copies."""
        told = {"database": place.database_url, "bootstrap": place.bootstrap_servers, "batch": BATCH}
        argv = [sys.executable, "-m", "bench.relay.poller"]
        environment = {"BENCH_POLLER": json.dumps(told)}
        return [command(place, f"poller-{n}", argv, environment) for n in range(self._copies)]
