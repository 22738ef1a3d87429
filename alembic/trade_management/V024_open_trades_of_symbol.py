"""Open trades of a symbol have an index: a page of them would read its closed ones too, or all open ones.

Revision ID: V024
Revises: V023
"""

from alembic import op

revision = "V024"
down_revision = "V023"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE INDEX trades_open_of_symbol ON trades (symbol, created_at DESC, trade_id DESC) WHERE status = 'OPEN';
"""

DOWNGRADE = """
DROP INDEX trades_open_of_symbol;
"""


def upgrade() -> None:
    """Make the index."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop the index."""
    op.execute(DOWNGRADE)
