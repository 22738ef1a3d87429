"""The trade role may lock rows of the inbox, so that pruning skips those that another transaction holds.

Revision ID: V011
Revises: V010
"""

from alembic import op

revision = "V011"
down_revision = "V010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Grant it; a lock needs the right to update a column."""
    op.execute("GRANT UPDATE (at) ON inbox TO exitflow_trade")


def downgrade() -> None:
    """Take it back."""
    op.execute("REVOKE UPDATE (at) ON inbox FROM exitflow_trade")
