"""The relay holds an outbox whose database is behind Kafka, as after a restore.

Revision ID: V021
Revises: V023
"""

from frozen.outbox_hold import add_hold, drop_hold

from alembic import op

revision = "V021"
down_revision = "V023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.execute(add_hold("exitflow_exit"))


def downgrade() -> None:
    """Drop them."""
    op.execute(drop_hold("exitflow_exit"))
