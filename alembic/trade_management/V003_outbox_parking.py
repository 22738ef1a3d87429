"""Operators replay and discard parked events, and pause shards; what they do is audited.

Revision ID: V003
Revises: V002
"""

from frozen.outbox_parking import CREATE_AUDIT_LOG, add_parking_requests, drop_parking_requests

from alembic import op

revision = "V003"
down_revision = "V002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the requests and the audit log."""
    op.execute(add_parking_requests("exitflow_trade") + CREATE_AUDIT_LOG.format(writer="exitflow_trade"))


def downgrade() -> None:
    """Drop both."""
    op.execute("DROP TABLE audit_log;" + drop_parking_requests("exitflow_trade"))
