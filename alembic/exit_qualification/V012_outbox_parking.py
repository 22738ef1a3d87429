"""Operators replay and discard parked events, and pause shards.

Revision ID: V012
Revises: V011
"""

from frozen.outbox_parking import add_parking_requests, drop_parking_requests

from alembic import op

revision = "V012"
down_revision = "V011"
branch_labels = None
depends_on = None

SIGNAL_STATUS = """
CREATE OR REPLACE VIEW exit_signal_status AS
SELECT s.*,
       CASE WHEN pg_visible_in_snapshot(s.xid, o.snap)
             AND NOT EXISTS (SELECT FROM outbox_parked p
                              WHERE p.key = s.trade_id::text AND p.headers ->> 'ce_subject' = s.signal_id::text)
             {and_not_discarded}
            THEN 'PUBLISHED' ELSE 'DETECTED' END AS status
  FROM exit_signals s
  JOIN outbox_shard o ON o.shard = hashtextextended(s.trade_id::text, 0) & 63;
"""
NOT_DISCARDED = """AND NOT EXISTS (SELECT FROM outbox_discarded d
                              WHERE d.key = s.trade_id::text AND d.subject = s.signal_id::text)"""


def upgrade() -> None:
    """Add the requests; a signal whose event was discarded was never published."""
    op.execute(add_parking_requests("exitflow_exit"))
    op.execute(SIGNAL_STATUS.format(and_not_discarded=NOT_DISCARDED))


def downgrade() -> None:
    """Drop them."""
    op.execute(SIGNAL_STATUS.format(and_not_discarded=""))
    op.execute(drop_parking_requests("exitflow_exit"))
