"""The DDL of consumer_gaps, frozen: migrations of both histories run it."""

from __future__ import annotations


def create_consumer_gaps(role: str) -> str:
    """Return the statements that make the table and let `role` record and acknowledge."""
    return f"""
CREATE TABLE consumer_gaps (
  gap_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  consumer text NOT NULL,
  topic text NOT NULL,
  topic_id text NOT NULL,
  partition integer NOT NULL,
  kind text NOT NULL CHECK (kind IN ('records_removed', 'topic_replaced', 'position_beyond_end')),
  first_offset bigint NOT NULL CHECK (first_offset >= 0),
  missed bigint NOT NULL CHECK (missed >= 0),
  noticed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  acknowledged_at timestamptz,
  UNIQUE (consumer, topic_id, partition, kind, first_offset)
);
COMMENT ON TABLE consumer_gaps IS
  'Records that a consumer did not or may not have read; its process is not ready until each gap is acknowledged';
COMMENT ON COLUMN consumer_gaps.partition IS '-1: any partition of the topic';
COMMENT ON COLUMN consumer_gaps.first_offset IS 'the first record that was missed';
COMMENT ON COLUMN consumer_gaps.missed IS 'records known to be missed; more may be where a topic was replaced';
CREATE INDEX consumer_gaps_open ON consumer_gaps (consumer) WHERE acknowledged_at IS NULL;
GRANT SELECT, INSERT, UPDATE (missed, acknowledged_at) ON consumer_gaps TO {role};
"""
