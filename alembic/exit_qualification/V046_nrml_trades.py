"""Trades and their exits may be NRML.

Revision ID: V046
Revises: V035
"""

from alembic import op

revision = "V046"
down_revision = "V035"
branch_labels = None
depends_on = None

# NOT VALID and VALIDATE: the tables are not read while they are locked for the change.
_ALLOW = """
ALTER TABLE {table}
  DROP CONSTRAINT {table}_product_type_check,
  ADD CONSTRAINT {table}_product_type_check CHECK (product_type IN ({products})) NOT VALID;
ALTER TABLE {table} VALIDATE CONSTRAINT {table}_product_type_check;
"""


def _allow(products: str) -> None:
    for table in ("open_trades", "exit_intents"):
        op.execute(_ALLOW.format(table=table, products=products))


def upgrade() -> None:
    """Allow the product."""
    _allow("'MIS', 'CNC', 'NRML'")


def downgrade() -> None:
    """Refuse the product again; fails if a trade has it."""
    _allow("'MIS', 'CNC'")
