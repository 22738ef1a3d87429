"""Signals by transaction, so that the published ones can be counted on from where they were counted.

Revision ID: V017
Revises: V016
"""

from alembic import op

revision = "V017"
down_revision = "V016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.execute("CREATE INDEX exit_signals_by_transaction ON exit_signals (xid)")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX exit_signals_by_transaction")
