"""The DDL of an outbox's hold, frozen: migrations of both histories run it."""

from __future__ import annotations


def add_hold(writer: str) -> str:
    """Return the statements that add the hold; `writer` is the role of the outbox's service."""
    return f"""
ALTER TABLE outbox_origin ADD COLUMN held_because text, ADD COLUMN log_accepted_until timestamptz;
COMMENT ON COLUMN outbox_origin.held_because IS
  'Why nothing is published, consumed or sent: the relay found events in Kafka that this database does not know';
COMMENT ON COLUMN outbox_origin.log_accepted_until IS
  'Records that Kafka took until then are not compared with this database: an operator decided so';
GRANT UPDATE (held_because) ON outbox_origin TO exitflow_relay;
GRANT UPDATE (held_because, log_accepted_until) ON outbox_origin TO {writer};
GRANT SELECT ON outbox_sequence TO exitflow_relay;
"""


def drop_hold(writer: str) -> str:
    """Return the statements that drop it."""
    return f"""
REVOKE SELECT ON outbox_sequence FROM exitflow_relay;
REVOKE UPDATE (held_because) ON outbox_origin FROM exitflow_relay, {writer};
REVOKE UPDATE (log_accepted_until) ON outbox_origin FROM {writer};
ALTER TABLE outbox_origin DROP COLUMN held_because, DROP COLUMN log_accepted_until;
"""  # noqa: S608  # the role's name is ours
