"""Operators replay and discard parked events, and pause shards.

Revision ID: V012
Revises: V011
"""

from alembic import op
from shared.outbox_parking_schema import add_parking_requests, drop_parking_requests

revision = "V012"
down_revision = "V011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the requests."""
    op.execute(add_parking_requests("exitflow_exit"))


def downgrade() -> None:
    """Drop them."""
    op.execute(drop_parking_requests("exitflow_exit"))
