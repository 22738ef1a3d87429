"""The headers of events become columns of text.

Writers and relays are to be stopped, and no dump may be under way: code of before writes and reads ``headers``, which
is gone, every partition is locked and written anew, and a transaction that began before sees it empty.

Revision ID: V014
Revises: V013
"""

from frozen.outbox_headers import headers_to_columns, headers_to_document

from alembic import op

revision = "V014"
down_revision = "V013"
branch_labels = None
depends_on = None

DROP_SIGNAL_STATUS = "DROP VIEW exit_signal_status;"
SIGNAL_STATUS = """
CREATE VIEW exit_signal_status AS
SELECT s.*,
       CASE WHEN pg_visible_in_snapshot(s.xid, o.snap)
             AND NOT EXISTS (SELECT FROM outbox_parked p
                              WHERE p.key = s.trade_id::text AND {subject} = s.signal_id::text)
             AND NOT EXISTS (SELECT FROM outbox_discarded d
                              WHERE d.key = s.trade_id::text AND d.subject = s.signal_id::text)
            THEN 'PUBLISHED' ELSE 'DETECTED' END AS status
  FROM exit_signals s
  JOIN outbox_shard o ON o.shard = hashtextextended(s.trade_id::text, 0) & 63;
COMMENT ON VIEW exit_signal_status IS
  'Signals with their status: PUBLISHED once the relay''s committed snapshot of their shard shows their transaction and their event is not parked';
GRANT SELECT ON exit_signal_status TO exitflow_exit;
"""


def upgrade() -> None:
    """Make the columns; both views read them."""
    op.execute(DROP_SIGNAL_STATUS + headers_to_columns("exitflow_exit") + SIGNAL_STATUS.format(subject="p.ce_subject"))


def downgrade() -> None:
    """Make the document of them again."""
    status = SIGNAL_STATUS.format(subject="p.headers ->> 'ce_subject'")
    op.execute(DROP_SIGNAL_STATUS + headers_to_document("exitflow_exit") + status)
