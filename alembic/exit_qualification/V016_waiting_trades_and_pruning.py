"""A waiting place for exits of trades that are locked; old rows of the inbox and of idempotency keys may be pruned.

Revision ID: V016
Revises: V015
"""

from alembic import op

revision = "V016"
down_revision = "V015"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE waiting_trades (
  trade_id uuid NOT NULL,
  work text NOT NULL CHECK (work = 'CLOSE'
    OR work IN ('STOP_LOSS', 'BREAK_EVEN', 'TRAILING_STOP', 'TIME', 'BRICK_REVERSAL', 'TARGET', 'MANUAL', 'EXTERNAL')),
  detected_price numeric(18,4),
  detected_at timestamptz,
  why text NOT NULL,
  waits_since timestamptz NOT NULL DEFAULT clock_timestamp(),
  tries integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
  retry_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (trade_id, work),
  CONSTRAINT waiting_trades_detected CHECK ((work = 'CLOSE') = (detected_price IS NULL)
    AND (work = 'CLOSE') = (detected_at IS NULL))
);
COMMENT ON TABLE waiting_trades IS 'What the tick worker must do with trades that were locked when it wanted to';
COMMENT ON COLUMN waiting_trades.work IS 'CLOSE: the trade is closed; otherwise the exit reason that its price met';
GRANT SELECT, INSERT, UPDATE, DELETE ON waiting_trades TO exitflow_exit;

CREATE INDEX inbox_by_age ON inbox (at);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
GRANT DELETE ON inbox, idempotency_keys TO exitflow_exit;
"""

DOWNGRADE = """
REVOKE DELETE ON inbox, idempotency_keys FROM exitflow_exit;
DROP INDEX inbox_by_age, idempotency_keys_by_age;
DO $$ BEGIN
  IF EXISTS (SELECT FROM waiting_trades) THEN
    RAISE EXCEPTION 'exits wait in waiting_trades: let exit-ticks write them before the downgrade';
  END IF;
END $$;
DROP TABLE waiting_trades;
"""


def upgrade() -> None:
    """Make the waiting place, and let the exit role prune."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop the waiting place; refused while something waits."""
    op.execute(DOWNGRADE)
