"""A symbol's checkpoint has its offset, which may be ahead of its partition's.

Only expands. Downgrade after the workers were stopped: one that leaves writes its whole partitions, so that no symbol is
ahead.

Revision ID: V058
Revises: V060
"""

from alembic import op

revision = "V058"
down_revision = "V060"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; no symbol is ahead of its partition."""
    op.execute("ALTER TABLE tick_symbols ADD COLUMN tick_offset bigint NOT NULL DEFAULT 0")
    op.execute(
        "COMMENT ON COLUMN tick_symbols.tick_offset IS 'next offset of its partition''s ticks that the state lacks: "
        "where it is above the partition''s own, the ticks between are part of the state'"
    )
    op.execute("COMMENT ON TABLE tick_symbols IS 'The engine''s state of each symbol, at its offset'")


def downgrade() -> None:
    """Drop the column."""
    op.execute("COMMENT ON TABLE tick_symbols IS 'The engine''s state of each symbol at the offsets of its partition'")
    op.execute("ALTER TABLE tick_symbols DROP COLUMN tick_offset")
