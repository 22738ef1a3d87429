"""Gaps of consumers are kept until they are acknowledged, and the partitions of a log are part of its identity.

Revision ID: V015
Revises: V014
"""

from frozen.consumer_gaps import create_consumer_gaps

from alembic import op

revision = "V015"
down_revision = "V014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and the column; a worker fills the column in."""
    op.execute(create_consumer_gaps("exitflow_exit"))
    op.execute("ALTER TABLE log_identity ADD COLUMN partitions integer CHECK (partitions > 0)")


def downgrade() -> None:
    """Drop both."""
    op.execute("ALTER TABLE log_identity DROP COLUMN partitions; DROP TABLE consumer_gaps")
