"""Partitions of the outbox are made ahead, closed and dropped; the outbox knows the server it belongs to.

Revision ID: V004
Revises: V003
"""

from frozen.outbox_retention import DROP_RETENTION, create_retention

from alembic import op

revision = "V004"
down_revision = "V003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the functions, the archive and the catalogue."""
    op.execute(create_retention("trade_management", "exitflow_trade"))


def downgrade() -> None:
    """Drop them, and with the archive the closed partitions; live ones stay."""
    op.execute(DROP_RETENTION)
