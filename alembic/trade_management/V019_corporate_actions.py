"""Corporate actions, and what each changed of open trades.

Revision ID: V019
Revises: V015
"""

from alembic import op

revision = "V019"
down_revision = "V015"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE corporate_actions (
  action_id uuid PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('SPLIT', 'BONUS', 'RENAME')),
  symbol text NOT NULL,
  new_symbol text NOT NULL,
  shares_before integer NOT NULL CHECK (shares_before > 0),
  shares_after integer NOT NULL CHECK (shares_after > 0),
  effective_at timestamptz NOT NULL,
  effective_on date NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  reversed_at timestamptz
);
COMMENT ON TABLE corporate_actions IS 'Splits, bonus issues and renames that open trades were adjusted to';
COMMENT ON COLUMN corporate_actions.effective_on IS 'trading day of effective_at; a symbol has one action of a kind on it';
CREATE UNIQUE INDEX corporate_actions_once ON corporate_actions (symbol, kind, effective_on) WHERE reversed_at IS NULL;

CREATE TABLE trade_adjustments (
  action_id uuid NOT NULL REFERENCES corporate_actions (action_id),
  trade_id uuid NOT NULL REFERENCES trades (trade_id),
  before jsonb NOT NULL,
  after jsonb NOT NULL,
  PRIMARY KEY (action_id, trade_id)
);
COMMENT ON TABLE trade_adjustments IS 'What an action changed of a trade; a reversal restores it';
CREATE INDEX trade_adjustments_of_trade ON trade_adjustments (trade_id);

GRANT SELECT, INSERT ON corporate_actions, trade_adjustments TO exitflow_trade;
GRANT UPDATE (reversed_at) ON corporate_actions TO exitflow_trade;
"""


def upgrade() -> None:
    """Add the tables."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them; adjusted trades stay as they are."""
    op.execute("DROP TABLE trade_adjustments, corporate_actions")
