"""A symbol's checkpoint has the stale ticks since its last one.

Revision ID: V048
Revises: V047
"""

from alembic import op

revision = "V048"
down_revision = "V047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; without a value no tick was stale."""
    op.execute("ALTER TABLE tick_symbols ADD COLUMN late jsonb")
    op.execute(
        "COMMENT ON COLUMN tick_symbols.late IS 'stale ticks since the last one: [arrival of the first, arrival of the "
        "first whose seq rose, highest seq, whether it was told], in milliseconds since 1970; null without any'"
    )


def downgrade() -> None:
    """Drop the column."""
    op.execute("ALTER TABLE tick_symbols DROP COLUMN late")
