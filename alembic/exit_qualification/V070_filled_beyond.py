"""An order raised at the broker may fill beyond its exit, which is FILLED then. Only expands.

Revision ID: V070
Revises: V062
"""

from alembic import op

revision = "V070"
down_revision = "V062"
branch_labels = None
depends_on = None

CHECK = """
ALTER TABLE exit_intents
  DROP CONSTRAINT exit_intents_filled,
  ADD CONSTRAINT exit_intents_filled CHECK (status <> 'FILLED' OR (filled_quantity {comparison} quantity AND quantity > 0
    AND average_price IS NOT NULL AND filled_at IS NOT NULL AND broker_order_id IS NOT NULL)) NOT VALID;
ALTER TABLE exit_intents VALIDATE CONSTRAINT exit_intents_filled;
"""


def upgrade() -> None:
    """Accept fills beyond the quantity."""
    op.execute(CHECK.format(comparison=">="))


def downgrade() -> None:
    """Refuse them; fails while an exit has some."""
    op.execute(CHECK.format(comparison="="))
