"""The outbox's tables, the same in every schema that has one; used by the migrations of each history."""

from __future__ import annotations

CREATE_OUTBOX = """
CREATE TABLE outbox_event (
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  id bigint GENERATED ALWAYS AS IDENTITY,
  event_id uuid NOT NULL,
  shard smallint NOT NULL CHECK (shard BETWEEN 0 AND 63),
  topic text NOT NULL,
  key text NOT NULL,
  sequence bigint NOT NULL CHECK (sequence > 0),
  headers jsonb NOT NULL,
  payload bytea NOT NULL CHECK (octet_length(payload) <= 900000),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE outbox_event IS 'Events of committed transactions, append-only; the relay publishes them in order per key';
COMMENT ON COLUMN outbox_event.xid IS 'the writing transaction; windows of snapshots select by it';
COMMENT ON COLUMN outbox_event.id IS 'inside one window the order to publish in';
COMMENT ON COLUMN outbox_event.shard IS 'hashtextextended(key, 0) & 63';
COMMENT ON COLUMN outbox_event.sequence IS 'ce_sequence: per topic and key, from 1, without gaps';
CREATE INDEX outbox_event_window ON outbox_event (shard, xid);
CREATE TABLE outbox_event_default PARTITION OF outbox_event DEFAULT;

CREATE TABLE outbox_shard (
  shard smallint PRIMARY KEY CHECK (shard BETWEEN 0 AND 63),
  owner uuid,
  epoch bigint NOT NULL DEFAULT 0,
  lease_until timestamptz NOT NULL DEFAULT '-infinity',
  paused boolean NOT NULL DEFAULT false,
  snap pg_snapshot NOT NULL DEFAULT pg_current_snapshot(),
  next_snap pg_snapshot,
  pos bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
COMMENT ON TABLE outbox_shard IS 'Leases and progress of the relay, a row a shard';
COMMENT ON COLUMN outbox_shard.epoch IS 'raised by each new owner; a relay with an older one changes nothing';
COMMENT ON COLUMN outbox_shard.snap IS 'all that this snapshot sees is published';
COMMENT ON COLUMN outbox_shard.next_snap IS 'the frozen end of the window at work, null between windows';
COMMENT ON COLUMN outbox_shard.pos IS 'the last id of the window that is acknowledged with all before it';
INSERT INTO outbox_shard (shard) SELECT generate_series(0, 63);

CREATE TABLE outbox_sequence (
  topic text NOT NULL,
  key text NOT NULL,
  last bigint NOT NULL,
  PRIMARY KEY (topic, key)
) WITH (fillfactor = 70);
COMMENT ON TABLE outbox_sequence IS 'The last ce_sequence given to each topic and key';

CREATE TABLE outbox_relay (
  relay_id uuid PRIMARY KEY,
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE outbox_relay IS 'Relays at work, so that each takes its fair share of shards';

CREATE TABLE outbox_parked (
  event_id uuid PRIMARY KEY,
  shard smallint NOT NULL,
  id bigint NOT NULL,
  topic text NOT NULL,
  key text NOT NULL,
  sequence bigint NOT NULL,
  headers jsonb NOT NULL,
  payload bytea NOT NULL,
  reason text NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE outbox_parked IS 'Events that Kafka refused, and the later ones of their keys, until an operator decides';
CREATE INDEX outbox_parked_key ON outbox_parked (topic, key, sequence);

GRANT USAGE ON SCHEMA {schema} TO exitflow_relay;
GRANT SELECT ON outbox_event TO exitflow_relay;
GRANT SELECT, UPDATE ON outbox_shard TO exitflow_relay;
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox_relay TO exitflow_relay;
GRANT SELECT, INSERT, DELETE ON outbox_parked TO exitflow_relay;
GRANT SELECT, INSERT ON outbox_event TO {writer};
GRANT SELECT, INSERT, UPDATE ON outbox_sequence TO {writer};
GRANT SELECT ON outbox_shard, outbox_relay, outbox_parked TO {writer};
"""

DROP_OUTBOX = """
DROP TABLE outbox_parked, outbox_relay, outbox_sequence, outbox_shard, outbox_event;
"""


def create_outbox(schema: str, writer: str) -> str:
    """The DDL of an outbox in `schema`, written by role `writer`, published by role ``exitflow_relay``."""
    return CREATE_OUTBOX.format(schema=schema, writer=writer)
