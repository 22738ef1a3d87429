"""txoutbox, a library on asyncpg, with a publisher on confluent-kafka: `peers/txoutbox_relay.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench.relay import records
from bench.relay.candidate import Insert
from bench.relay.candidates.one_table import Peer
from bench.relay.place import Place
from deploy.local.processes.child import Command
from shared.ids import new_id

# txoutbox 0.2.2, PostgresStorage.schema_sql() without a notify channel.
_SCHEMA = """
CREATE TABLE outbox (
    id          BIGSERIAL   PRIMARY KEY,
    topic       TEXT        NOT NULL,
    key         TEXT,
    payload     BYTEA       NOT NULL,
    headers     JSONB       NOT NULL DEFAULT '{}',
    status      TEXT        NOT NULL DEFAULT 'pending',
    attempts    INT         NOT NULL DEFAULT 0,
    retry_at    TIMESTAMPTZ,
    leased_by   TEXT,
    lease_until TIMESTAMPTZ,
    last_error  TEXT,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX outbox_pending_idx ON outbox (id) WHERE status = 'pending';
CREATE INDEX outbox_key_pending_idx ON outbox (key, id) WHERE status = 'pending';
"""
_RANGE = f"""
INSERT INTO outbox (topic, key, payload, headers)
SELECT %(topic)s::text, {records.KEY_SQL}, {records.PAYLOAD_SQL}, {records.ALL_HEADERS_SQL} FROM {records.RANGE_SQL}
 ORDER BY n
"""
# The statement of PostgresStorage.insert().
_ONE = (
    "INSERT INTO outbox (topic, key, payload, headers)"
    " VALUES (%(topic)s, %(key)s, %(payload)s, %(headers)s::jsonb) RETURNING id"
)
_TUNED: Mapping[str, Any] = {"batch_size": 3000, "concurrency": 1000, "poll_min": 0.005, "poll_max": 0.05}


class Txoutbox(Peer):
    """One relay, as it comes or tuned."""

    schema = _SCHEMA
    backlog = _RANGE
    program = "txoutbox"

    def __init__(self, name: str, *, tuned: bool) -> None:
        setting = "batch 3000, concurrency 1000, poll 5 to 50 ms" if tuned else "as it comes, confluent-kafka"
        super().__init__(name, setting, 0.2 if tuned else 0.04)
        self._tuned = tuned

    def one_insert(self, place: Place, number: int) -> Insert:
        """Return the library's statement."""
        return _ONE, {
            "topic": place.topic,
            "key": records.key_of(number),
            "payload": records.payload_of(number),
            "headers": json.dumps(records.all_headers(number, str(new_id()))),
        }

    def programs(self, place: Place, events: int) -> Sequence[Command]:  # noqa: ARG002  # it runs until stopped
        """Return one relay."""
        return [self.relay(place, config=_TUNED if self._tuned else {})]
