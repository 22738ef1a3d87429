"""Fills and closures name the leg of a target ladder that they belong to.

Revision ID: V014
Revises: V012
"""

from alembic import op

revision = "V014"
down_revision = "V012"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE trade_fills ADD COLUMN target_leg smallint CHECK (target_leg > 0);
ALTER TABLE trade_closures ADD COLUMN target_leg smallint CHECK (target_leg > 0);
COMMENT ON COLUMN trade_fills.target_leg IS 'leg of a target ladder; null for an exit of the whole remainder';
COMMENT ON COLUMN trade_closures.target_leg IS 'leg of a target ladder; null for an exit of the whole remainder';
"""


def upgrade() -> None:
    """Add the columns; every fill before is of the whole remainder."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop the columns."""
    op.execute("ALTER TABLE trade_closures DROP COLUMN target_leg; ALTER TABLE trade_fills DROP COLUMN target_leg")
