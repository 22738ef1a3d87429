"""V081: holds of trades wait for the version given by their change. Only expands.

Revision ID: V081
Revises: V080
"""

from alembic import op

revision = "V081"
down_revision = "V080"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE trade_holds ADD COLUMN awaited_version integer;
COMMENT ON COLUMN trade_holds.awaited_version IS
  'Until TradeAdjusted has told this version of the trade the hold goes on, beyond its time too; null: until its time';
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop it: holds end by their time."""
    op.execute("ALTER TABLE trade_holds DROP COLUMN awaited_version")
