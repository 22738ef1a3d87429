"""Accounts whose entries are held, as exit qualification tells of them.

Revision ID: V015
Revises: V018
"""

from alembic import op

revision = "V015"
down_revision = "V018"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE user_brokers ADD COLUMN entries_held_since timestamptz, ADD COLUMN entries_held_reason text;
COMMENT ON COLUMN user_brokers.entries_held_since IS 'since when no trade may be opened at the account; null: not held';
"""


def upgrade() -> None:
    """Add the columns; trade-fills fills them when it reads the topic, which it does at every start."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them."""
    op.execute("ALTER TABLE user_brokers DROP COLUMN entries_held_since, DROP COLUMN entries_held_reason")
