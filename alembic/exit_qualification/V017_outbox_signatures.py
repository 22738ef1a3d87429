"""Events carry a signature.

Revision ID: V017
Revises: V016
"""

from alembic import op
from shared.outbox_signature_schema import add_signatures, drop_signatures

revision = "V017"
down_revision = "V016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the columns; the history shows them."""
    op.execute(add_signatures("exitflow_exit"))


def downgrade() -> None:
    """Take them away."""
    op.execute(drop_signatures("exitflow_exit"))
