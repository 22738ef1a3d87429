"""Outbox of exit qualification, and whether a signal is published, derived from it.

Revision ID: V011
Revises: V010
"""

from frozen.outbox_tables import DROP_OUTBOX, create_outbox

from alembic import op

revision = "V011"
down_revision = "V010"
branch_labels = None
depends_on = None

SIGNAL_STATUS = """
CREATE VIEW exit_signal_status AS
SELECT s.*,
       CASE WHEN pg_visible_in_snapshot(s.xid, o.snap)
             AND NOT EXISTS (SELECT FROM outbox_parked p
                              WHERE p.key = s.trade_id::text AND p.headers ->> 'ce_subject' = s.signal_id::text)
            THEN 'PUBLISHED' ELSE 'DETECTED' END AS status
  FROM exit_signals s
  JOIN outbox_shard o ON o.shard = hashtextextended(s.trade_id::text, 0) & 63;
COMMENT ON VIEW exit_signal_status IS
  'Signals with their status: PUBLISHED once the relay''s committed snapshot of their shard shows their transaction and their event is not parked';
GRANT SELECT ON exit_signal_status TO exitflow_exit;
"""


def upgrade() -> None:
    """Make the outbox and the view."""
    op.execute(create_outbox("exit_qualification", "exitflow_exit") + SIGNAL_STATUS)


def downgrade() -> None:
    """Drop both."""
    op.execute("DROP VIEW exit_signal_status;" + DROP_OUTBOX)
