"""Exit plans have a version, which every change raises.

Revision ID: V013
Revises: V011
"""

from alembic import op

revision = "V013"
down_revision = "V011"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE trades ADD COLUMN plan_version integer NOT NULL DEFAULT 1
  CONSTRAINT trades_plan_version CHECK (plan_version > 0);
COMMENT ON COLUMN trades.plan_version IS 'raised by every change of exit_plan; a caller names the one it read';
"""


def upgrade() -> None:
    """Add the version; plans in force have version 1."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop the version; changed plans stay as they are."""
    op.execute("ALTER TABLE trades DROP COLUMN plan_version")
