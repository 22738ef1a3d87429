"""What an operator may ask of parked events, the same in every schema that has an outbox."""

from __future__ import annotations

ADD_PARKING_REQUESTS = """
ALTER TABLE outbox_parked
  ADD COLUMN request text CHECK (request IN ('REPLAY', 'DISCARD')),
  ADD COLUMN requested_by text,
  ADD COLUMN requested_at timestamptz,
  ADD COLUMN request_reason text;
COMMENT ON COLUMN outbox_parked.reason IS 'what Kafka said, or after which event of its key this one has to wait';
COMMENT ON COLUMN outbox_parked.request IS 'what an operator decided: publish it, or a Discarded event in its place';
GRANT UPDATE (request, requested_by, requested_at, request_reason) ON outbox_parked TO {writer};
GRANT UPDATE (paused) ON outbox_shard TO {writer};
GRANT UPDATE (reason, request, requested_by, requested_at, request_reason) ON outbox_parked TO exitflow_relay;
"""

DROP_PARKING_REQUESTS = """
REVOKE UPDATE (paused) ON outbox_shard FROM {writer};
ALTER TABLE outbox_parked
  DROP COLUMN request, DROP COLUMN requested_by, DROP COLUMN requested_at, DROP COLUMN request_reason;
REVOKE UPDATE (reason) ON outbox_parked FROM exitflow_relay;
"""

CREATE_AUDIT_LOG = """
CREATE TABLE audit_log (
  audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  actor text NOT NULL,
  action text NOT NULL,
  subject text NOT NULL,
  before jsonb,
  after jsonb,
  reason text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE audit_log IS 'Every act of an operator; service roles may only add to it';
GRANT SELECT, INSERT ON audit_log TO {writer};
"""


def add_parking_requests(writer: str) -> str:
    """The DDL for requests by role `writer`, carried out by role ``exitflow_relay``."""
    return ADD_PARKING_REQUESTS.format(writer=writer)


def drop_parking_requests(writer: str) -> str:
    """The way back."""
    return DROP_PARKING_REQUESTS.format(writer=writer)
