"""Protective stops follow trailing stops, and the changes of an order are counted.

Revision ID: V060
Revises: V054
"""

from alembic import op

revision = "V060"
down_revision = "V054"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE protective_stops
  ADD COLUMN followed_price numeric(18,4),
  ADD COLUMN followed_version integer,
  ADD COLUMN changes integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN protective_stops.followed_price IS 'trigger in rupees that follows the trailing stop';
COMMENT ON COLUMN protective_stops.followed_version IS 'version of the plan that followed_price is of';
COMMENT ON COLUMN protective_stops.changes IS 'how often other terms of the order were requested';
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them."""
    op.execute(
        "ALTER TABLE protective_stops DROP COLUMN followed_price, DROP COLUMN followed_version, DROP COLUMN changes"
    )
