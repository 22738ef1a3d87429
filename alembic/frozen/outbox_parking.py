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
CREATE INDEX outbox_parked_shard ON outbox_parked (shard, topic, key, sequence);
CREATE INDEX outbox_parked_requested ON outbox_parked (shard, topic, key, sequence) WHERE request IS NOT NULL;
CREATE TABLE outbox_discarded (
  event_id uuid PRIMARY KEY,
  shard smallint NOT NULL,
  topic text NOT NULL,
  key text NOT NULL,
  sequence bigint NOT NULL,
  event_type text,
  subject text,
  reason text NOT NULL,
  discarded_by text NOT NULL,
  discarded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE outbox_discarded IS 'Events in whose place a Discarded event was published, as an operator decided';
CREATE INDEX outbox_discarded_key ON outbox_discarded (key);
GRANT SELECT, INSERT ON outbox_discarded TO exitflow_relay;
GRANT SELECT ON outbox_discarded TO {writer};
GRANT UPDATE (request, requested_by, requested_at, request_reason) ON outbox_parked TO {writer};
GRANT UPDATE (paused) ON outbox_shard TO {writer};
GRANT UPDATE (reason, request, requested_by, requested_at, request_reason) ON outbox_parked TO exitflow_relay;
"""

DROP_PARKING_REQUESTS = """
DROP TABLE outbox_discarded;
DROP INDEX outbox_parked_shard, outbox_parked_requested;
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
