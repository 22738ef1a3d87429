"""The accounts that exits are executed at, as exit qualification tells of them.

Revision ID: V008
Revises: V007
"""

from alembic import op

revision = "V008"
down_revision = "V007"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE user_brokers (
  user_broker_id text PRIMARY KEY,
  status text NOT NULL,
  changed_at timestamptz NOT NULL
);
COMMENT ON TABLE user_brokers IS 'Projection of UserBrokerChanged on operations.controls.v1: the accounts that a trade may name';
COMMENT ON COLUMN user_brokers.changed_at IS 'of the event; an older one changes nothing';
GRANT SELECT, INSERT, UPDATE ON user_brokers TO exitflow_trade;
"""


def upgrade() -> None:
    """Make the table; it is filled from the topic when trade-fills starts."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE user_brokers")
