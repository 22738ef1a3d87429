"""Trades that a corporate action changed, until their row can be changed.

Revision ID: V047
Revises: V040
"""

from alembic import op

revision = "V047"
down_revision = "V040"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE trade_adjustments (
  trade_id uuid PRIMARY KEY,
  plan_version integer NOT NULL,
  symbol text NOT NULL,
  partition integer NOT NULL,
  quantity bigint NOT NULL CHECK (quantity > 0),
  entry_price numeric(18,4) NOT NULL CHECK (entry_price > 0),
  applied boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE trade_adjustments IS 'Last corporate action of a trade as TradeAdjusted tells of it';
COMMENT ON COLUMN trade_adjustments.applied IS 'false while another transaction holds the row of open_trades';
CREATE INDEX trade_adjustments_to_apply ON trade_adjustments (trade_id) WHERE NOT applied;
GRANT SELECT, INSERT, UPDATE ON trade_adjustments TO exitflow_exit;

ALTER TABLE waiting_trades
  DROP CONSTRAINT waiting_trades_detected,
  ADD CONSTRAINT waiting_trades_detected CHECK ((work IN ('CLOSE', 'ADJUST')) = (detected_at IS NULL)),
  DROP CONSTRAINT waiting_trades_work_check,
  ADD CONSTRAINT waiting_trades_work_check CHECK (work IN ('CLOSE', 'ADJUST') OR split_part(work, '/', 1) IN
    ('STOP_LOSS', 'BREAK_EVEN', 'TRAILING_STOP', 'TIME', 'BRICK_REVERSAL', 'TARGET', 'MANUAL', 'EXTERNAL'));
"""

DOWNGRADE = """
DELETE FROM waiting_trades WHERE work = 'ADJUST';
ALTER TABLE waiting_trades
  DROP CONSTRAINT waiting_trades_detected,
  ADD CONSTRAINT waiting_trades_detected CHECK ((work = 'CLOSE') = (detected_at IS NULL)),
  DROP CONSTRAINT waiting_trades_work_check,
  ADD CONSTRAINT waiting_trades_work_check CHECK (work = 'CLOSE' OR split_part(work, '/', 1) IN
    ('STOP_LOSS', 'BREAK_EVEN', 'TRAILING_STOP', 'TIME', 'BRICK_REVERSAL', 'TARGET', 'MANUAL', 'EXTERNAL'));
DROP TABLE trade_adjustments;
"""


def upgrade() -> None:
    """Add the table, and the work that waits for it."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them; trades that are adjusted already stay so."""
    op.execute(DOWNGRADE)
