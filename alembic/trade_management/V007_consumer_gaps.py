"""The log that trade-fills reads, and what it missed of it.

Revision ID: V007
Revises: V006
"""

from frozen.consumer_gaps import create_consumer_gaps

from alembic import op

revision = "V007"
down_revision = "V006"
branch_labels = None
depends_on = None

LOG_IDENTITY = """
CREATE TABLE log_identity (
  topic text PRIMARY KEY,
  cluster_id text NOT NULL,
  topic_id text NOT NULL,
  partitions integer CHECK (partitions > 0),
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE log_identity IS 'Which Kafka log the committed offsets belong to';
GRANT SELECT, INSERT, UPDATE ON log_identity TO exitflow_trade;
"""


def upgrade() -> None:
    """Make both tables."""
    op.execute(LOG_IDENTITY + create_consumer_gaps("exitflow_trade"))


def downgrade() -> None:
    """Drop both."""
    op.execute("DROP TABLE consumer_gaps, log_identity")
