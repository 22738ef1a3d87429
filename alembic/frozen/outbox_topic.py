"""The DDL of outbox_topic, frozen: migrations of both histories run it."""

from __future__ import annotations


def create_outbox_topic(writer: str) -> str:
    """Return the statements that make the table; `writer` is the role of the outbox's service."""
    return f"""
CREATE TABLE outbox_topic (
  topic text PRIMARY KEY,
  topic_id text NOT NULL,
  partitions integer NOT NULL CHECK (partitions > 0),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE outbox_topic IS
  'Over how many partitions the relay spreads the keys of a topic; those added later stay unused, so no key moves';
GRANT SELECT, INSERT, UPDATE ON outbox_topic TO exitflow_relay;
GRANT SELECT, UPDATE (partitions, updated_at) ON outbox_topic TO {writer};
"""
