"""The relay keeps the number of partitions that it began to publish a topic with.

Revision ID: V020
Revises: V019
"""

from frozen.outbox_topic import create_outbox_topic

from alembic import op

revision = "V020"
down_revision = "V019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; the relay fills it in."""
    op.execute(create_outbox_topic("exitflow_exit"))


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE outbox_topic")
