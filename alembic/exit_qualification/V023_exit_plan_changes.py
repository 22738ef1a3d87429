"""Changed exit plans of open trades.

Revision ID: V023
Revises: V025
"""

from alembic import op

revision = "V023"
down_revision = "V025"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE exit_plans (
  trade_id uuid PRIMARY KEY,
  plan_version integer NOT NULL CHECK (plan_version > 1),
  exit_plan jsonb NOT NULL,
  changed_tick bigint NOT NULL,
  changed_at timestamptz NOT NULL
);
COMMENT ON TABLE exit_plans IS 'Plan in force of each trade whose plan was changed, in the place of open_trades.exit_plan; apart from open_trades, whose rows others lock';
COMMENT ON COLUMN exit_plans.plan_version IS 'raised by every change; a trade is opened with version 1';
COMMENT ON COLUMN exit_plans.changed_tick IS 'number of ticks of the symbol when the changed plan was first judged';
GRANT SELECT, INSERT, UPDATE ON exit_plans TO exitflow_exit;
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop the table; trades fall back to the plans they were opened with."""
    op.execute("DROP TABLE exit_plans")
