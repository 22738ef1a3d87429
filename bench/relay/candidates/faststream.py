"""faststream-outbox on asyncpg, relaying to FastStream's confluent broker: `peers/faststream_relay.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bench.relay import records
from bench.relay.candidate import Insert, command
from bench.relay.peer_packages import PEERS, peer_python
from bench.relay.place import Place
from deploy.local.child import Command
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


class FaststreamOutbox:
    """One relay, as it comes or tuned."""

    has_outbox = True

    def __init__(self, name: str, *, tuned: bool) -> None:
        self._name = name
        self._tuned = tuned
        self.share = 0.06 if tuned else 0.02

    @property
    def name(self) -> str:
        """Short and unique."""
        return self._name

    @property
    def setting(self) -> str:
        """How it is configured."""
        return "50 workers, fetch 1000, flush 100, linger 0" if self._tuned else "as it comes, lz4, acks=all"

    def prepare(self, place: Place) -> None:
        """The library's own table."""
        peer_python()
        with psycopg.connect(place.database_url) as connection:
            connection.execute(_SCHEMA)

    def range_insert(self) -> str:
        """Rows with all headers; the key travels as ``ce_subject``."""
        return _RANGE

    def one_insert(self, place: Place, number: int) -> Insert:  # noqa: ARG002  # the topic is the relay's
        """The library's own statement, with its notification."""
        headers = records.all_headers(number, str(new_id()))
        return _ONE, {"queue": QUEUE, "payload": records.payload_of(number), "headers": Jsonb(headers)}

    def programs(self, place: Place, events: int) -> Sequence[Command]:  # noqa: ARG002  # it runs until stopped
        """One relay."""
        told = {
            "database": place.database_url,
            "bootstrap": place.bootstrap_servers,
            "topic": place.topic,
            "queue": QUEUE,
            "subscriber": dict(_TUNED) if self._tuned else {},
            "broker": {"linger_ms": 0} if self._tuned else {},
        }
        argv = [str(peer_python()), str(PEERS / "faststream_relay.py")]
        return [command(place, "faststream", argv, {"BENCH_PEER": json.dumps(told)})]
