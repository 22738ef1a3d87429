"""Events carry a signature.

Revision ID: V009
Revises: V008
"""

from frozen.outbox_signatures import add_signatures, drop_signatures

from alembic import op

revision = "V009"
down_revision = "V008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the columns; the history shows them."""
    op.execute(add_signatures("exitflow_trade"))


def downgrade() -> None:
    """Take them away."""
    op.execute(drop_signatures("exitflow_trade"))
