"""V037: an index with the order of the list of pending exits. Only expands; the build holds writes of exits back.

Revision ID: V037
Revises: V028
"""

from alembic import op

revision = "V037"
down_revision = "V028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.execute(
        "CREATE INDEX exit_intents_pending_oldest ON exit_intents (created_at, intent_id)"
        " WHERE status IN ('PENDING', 'APPROVED', 'SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED')"
        " AND deleted_at IS NULL"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX exit_intents_pending_oldest")
