"""V032: an index of filled exits whose order was to be cancelled. Only expands; the build holds writes of exits back.

Revision ID: V032
Revises: V029
"""

from alembic import op

revision = "V032"
down_revision = "V029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.execute(
        "CREATE INDEX exit_intents_filled_to_cancel ON exit_intents (user_broker_id, ended_at)"
        " WHERE status = 'FILLED' AND cancel_requested_at IS NOT NULL"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX exit_intents_filled_to_cancel")
