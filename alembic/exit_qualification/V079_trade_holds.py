"""V079: holds of trades while trade management changes their terms. Only expands.

Revision ID: V079
Revises: V083
"""

from alembic import op

revision = "V079"
down_revision = "V083"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE trade_holds (
  trade_id uuid PRIMARY KEY,
  held_until timestamptz NOT NULL
);
COMMENT ON TABLE trade_holds IS
  'Trades with terms being changed by a corporate action: until then, or until TradeAdjusted, no exit of them is sent';
GRANT SELECT, INSERT, UPDATE, DELETE ON trade_holds TO exitflow_exit;
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop it: the exits of held trades are sent."""
    op.execute("DROP TABLE trade_holds")
