"""Outbox of trade management.

Revision ID: V002
Revises: V001
"""

from frozen.outbox_tables import DROP_OUTBOX, create_outbox

from alembic import op

revision = "V002"
down_revision = "V001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the outbox."""
    op.execute(create_outbox("trade_management", "exitflow_trade"))


def downgrade() -> None:
    """Drop it."""
    op.execute(DROP_OUTBOX)
