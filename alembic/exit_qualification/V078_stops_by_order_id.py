"""V078: an index of the broker's ids of protective stops, for searches. Only expands; the build holds writes back.

Revision ID: V078
Revises: V071
"""

from alembic import op

revision = "V078"
down_revision = "V071"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.execute(
        "CREATE INDEX protective_stops_broker_order ON protective_stops (broker_order_id)"
        " WHERE broker_order_id IS NOT NULL"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX protective_stops_broker_order")
