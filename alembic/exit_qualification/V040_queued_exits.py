"""V040: exits of a burst wait in chunks, a row for each, not a row for each exit. Only expands.

Revision ID: V040
Revises: V042
"""

from alembic import op

revision = "V040"
down_revision = "V042"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE queued_exits (
  queue_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  partition integer NOT NULL,
  symbol text NOT NULL,
  trade_ids uuid[] NOT NULL CHECK (cardinality(trade_ids) > 0),
  exits json NOT NULL,
  queued_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE queued_exits ALTER COLUMN exits SET STORAGE EXTERNAL;
COMMENT ON TABLE queued_exits IS 'Exits of a burst beyond what one transaction writes: chunks of one symbol, oldest first';
COMMENT ON COLUMN queued_exits.partition IS 'its owner writes the exits; as of open_trades';
COMMENT ON COLUMN queued_exits.trade_ids IS 'the trades of the chunk, each once';
COMMENT ON COLUMN queued_exits.exits IS 'rows of waiting_trades: {trade_id, work, price, at_us, level}, prices in 1/10,000 rupee';
GRANT SELECT, INSERT, UPDATE, DELETE ON queued_exits TO exitflow_exit;
"""

DOWNGRADE = """
DO $$ BEGIN
  IF EXISTS (SELECT FROM queued_exits) THEN
    RAISE EXCEPTION 'exits wait in queued_exits: let exit-ticks write them before the downgrade'
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
END $$;
DROP TABLE queued_exits;
"""


def upgrade() -> None:
    """Make the queue."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop the queue; refused while exits wait in it."""
    op.execute(DOWNGRADE)
