"""Partitions of the outbox are made ahead, closed and dropped; the outbox knows the server it belongs to.

Revision ID: V013
Revises: V012
"""

from frozen.outbox_retention import DROP_RETENTION, create_retention

from alembic import op

revision = "V013"
down_revision = "V012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the functions, the archive and the catalogue."""
    op.execute(create_retention("exit_qualification", "exitflow_exit"))


def downgrade() -> None:
    """Drop them, and with the archive the closed partitions; live ones stay."""
    op.execute(DROP_RETENTION)
