"""The relay holds an outbox whose database is behind Kafka, as after a restore.

Revision ID: V012
Revises: V013
"""

from frozen.outbox_hold import add_hold, drop_hold

from alembic import op

revision = "V012"
down_revision = "V013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.execute(add_hold("exitflow_trade"))


def downgrade() -> None:
    """Drop them."""
    op.execute(drop_hold("exitflow_trade"))
