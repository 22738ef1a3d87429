"""faststream-outbox on asyncpg, relaying to FastStream's confluent broker: `peers/faststream_relay.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from bench.relay import records
from bench.relay.candidate import Insert
from bench.relay.candidates.one_table import Peer
from bench.relay.place import Place
from deploy.local.processes.child import Command
from shared.ids import new_id

# faststream-outbox 0.19.0, make_outbox_table(metadata, "outbox").
_SCHEMA = """
CREATE TABLE outbox (
    id bigserial PRIMARY KEY,
    queue varchar(255) NOT NULL,
    payload bytea NOT NULL,
    headers jsonb,
    attempts_count bigint NOT NULL DEFAULT 0,
    deliveries_count bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    first_attempt_at timestamptz,
    last_attempt_at timestamptz,
    acquired_at timestamptz,
    acquired_token uuid,
    timer_id varchar(255),
    CONSTRAINT outbox_lease_ck CHECK ((acquired_token IS NULL) = (acquired_at IS NULL))
);
CREATE INDEX outbox_pending_idx ON outbox (queue, next_attempt_at, id) WHERE acquired_token IS NULL;
CREATE UNIQUE INDEX outbox_timer_id_uq ON outbox (queue, timer_id) WHERE timer_id IS NOT NULL;
CREATE INDEX outbox_leased_idx ON outbox (queue, next_attempt_at, id) WHERE acquired_token IS NOT NULL;
"""
QUEUE = "bench"
_RANGE = f"""
INSERT INTO outbox (queue, payload, headers)
SELECT '{QUEUE}', {records.PAYLOAD_SQL}, {records.ALL_HEADERS_SQL} FROM {records.RANGE_SQL} ORDER BY n
"""
# The statement of OutboxBroker.publish(): the notification rides in RETURNING.
_ONE = (
    "INSERT INTO outbox (queue, payload, headers) VALUES (%(queue)s, %(payload)s, %(headers)s)"
    " RETURNING id, pg_notify('outbox_outbox', queue)"
)
_TUNED: Mapping[str, Any] = {"max_workers": 50, "fetch_batch_size": 1000, "terminal_flush_batch_size": 100}


class FaststreamOutbox(Peer):
    """One relay, as it comes or tuned; the key travels as the header ``ce_subject``."""

    schema = _SCHEMA
    backlog = _RANGE
    program = "faststream"

    def __init__(self, name: str, *, tuned: bool) -> None:
        setting = "50 workers, fetch 1000, flush 100, linger 0" if tuned else "as it comes, lz4, acks=all"
        super().__init__(name, setting, 0.06 if tuned else 0.02)
        self._tuned = tuned

    def one_insert(self, place: Place, number: int) -> Insert:  # noqa: ARG002  # the topic is the relay's
        """Return the library's statement, with its notification."""
        headers = records.all_headers(number, str(new_id()))
        return _ONE, {"queue": QUEUE, "payload": records.payload_of(number), "headers": Jsonb(headers)}

    def programs(self, place: Place, events: int) -> Sequence[Command]:  # noqa: ARG002  # it runs until stopped
        """Return one relay."""
        subscriber = _TUNED if self._tuned else {}
        broker = {"linger_ms": 0} if self._tuned else {}
        return [self.relay(place, topic=place.topic, queue=QUEUE, subscriber=subscriber, broker=broker)]
