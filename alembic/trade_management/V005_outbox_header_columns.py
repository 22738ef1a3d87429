"""The headers of events become columns of text.

Writers and relays are to be stopped, and no dump may be under way: code of before writes and reads ``headers``, which
is gone, every partition is locked and written anew, and a transaction that began before sees it empty.

Revision ID: V005
Revises: V004
"""

from frozen.outbox_headers import headers_to_columns, headers_to_document

from alembic import op

revision = "V005"
down_revision = "V004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the columns."""
    op.execute(headers_to_columns("exitflow_trade"))


def downgrade() -> None:
    """Make the document of them again."""
    op.execute(headers_to_document("exitflow_trade"))
