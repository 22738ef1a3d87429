"""Loss limits of accounts, and the hold of their entries.

Revision ID: V042
Revises: V046
"""

from alembic import op

revision = "V042"
down_revision = "V046"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE account_loss_limits (
  user_broker_id text PRIMARY KEY REFERENCES user_brokers,
  loss_limit numeric(18,4) CHECK (loss_limit > 0),
  basis text NOT NULL CHECK (basis IN ('START_OF_DAY', 'PEAK')),
  trading_day date NOT NULL,
  opening_pnl numeric NOT NULL,
  peak_pnl numeric NOT NULL,
  realised_pnl numeric NOT NULL,
  unrealised_pnl numeric NOT NULL,
  judged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT account_loss_limits_peak CHECK (peak_pnl >= opening_pnl)
);
COMMENT ON TABLE account_loss_limits IS 'How much an account may lose in a day, and its profit and loss as judged last';
COMMENT ON COLUMN account_loss_limits.loss_limit IS 'in rupees; null: the account has no limit';
COMMENT ON COLUMN account_loss_limits.basis IS 'the loss counts from the start of the day or from the highest profit and loss since';
COMMENT ON COLUMN account_loss_limits.opening_pnl IS 'profit and loss from which the loss of the day counts: at its start, at the first setting of the limit, or at the release of a hold';
COMMENT ON COLUMN account_loss_limits.peak_pnl IS 'highest profit and loss since the opening';
COMMENT ON COLUMN account_loss_limits.realised_pnl IS 'of the fills of the trading day, against the entry prices, before charges';
COMMENT ON COLUMN account_loss_limits.unrealised_pnl IS 'of what is open, at the last prices';
GRANT SELECT, INSERT, UPDATE ON account_loss_limits TO exitflow_exit;

ALTER TABLE user_brokers
  ADD COLUMN entries_held_since timestamptz,
  ADD COLUMN entries_held_reason text,
  ADD CONSTRAINT user_brokers_entries_held CHECK ((entries_held_since IS NULL) = (entries_held_reason IS NULL));
COMMENT ON COLUMN user_brokers.entries_held_since IS 'since when no trade may be opened and every open one is exited; null: not held';

CREATE INDEX open_trades_of_account ON open_trades (user_broker_id) WHERE status = 'OPEN';
"""

DOWNGRADE = """
DROP INDEX open_trades_of_account;
ALTER TABLE user_brokers DROP COLUMN entries_held_since, DROP COLUMN entries_held_reason;
DROP TABLE account_loss_limits;
"""


def upgrade() -> None:
    """Make the table, the columns and the index; no account has a limit."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them; held accounts are released."""
    op.execute(DOWNGRADE)
