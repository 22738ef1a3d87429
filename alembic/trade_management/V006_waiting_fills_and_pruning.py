"""A waiting place for fills of trades that are locked; old rows of the inbox and of idempotency keys may be pruned.

Revision ID: V006
Revises: V005
"""

from alembic import op

revision = "V006"
down_revision = "V005"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE waiting_fills (
  waiting_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id uuid NOT NULL,
  trade_id uuid NOT NULL,
  topic text NOT NULL,
  topic_partition integer NOT NULL,
  topic_offset bigint NOT NULL,
  key bytea,
  value bytea,
  header_names text[] NOT NULL,
  header_values bytea[] NOT NULL,
  why text NOT NULL,
  arrived_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  tries integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
  retry_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT waiting_fills_event UNIQUE (event_id)
);
COMMENT ON TABLE waiting_fills IS 'Records of fills whose trade was locked when they arrived, applied in order per trade';
COMMENT ON COLUMN waiting_fills.trade_id IS 'no foreign key: its check would wait for the lock that the record waits for';
COMMENT ON COLUMN waiting_fills.waiting_id IS 'the order of arrival';
CREATE INDEX waiting_fills_of_trade ON waiting_fills (trade_id, waiting_id);
GRANT SELECT, INSERT, UPDATE, DELETE ON waiting_fills TO exitflow_trade;

CREATE INDEX inbox_by_age ON inbox (at);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
GRANT DELETE ON inbox, idempotency_keys TO exitflow_trade;
"""

DOWNGRADE = """
REVOKE DELETE ON inbox, idempotency_keys FROM exitflow_trade;
DROP INDEX inbox_by_age, idempotency_keys_by_age;
DO $$ BEGIN
  IF EXISTS (SELECT FROM waiting_fills) THEN
    RAISE EXCEPTION 'fills wait in waiting_fills: let trade-fills apply them before the downgrade';
  END IF;
END $$;
DROP TABLE waiting_fills;
"""


def upgrade() -> None:
    """Make the waiting place, and let the trade role prune."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop the waiting place; refused while something waits."""
    op.execute(DOWNGRADE)
