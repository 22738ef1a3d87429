"""exit-ticks asks for the quote of a symbol with a tick beyond its circuit limits. Only expands.

Revision ID: V067
Revises: V070
"""

from alembic import op

revision = "V067"
down_revision = "V070"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE market_quotes ADD COLUMN wanted_at timestamptz, ADD COLUMN wanted_of text;
COMMENT ON COLUMN market_quotes.wanted_at IS
  'when a tick beyond the limits last asked for a new quote; null if none ever did';
COMMENT ON COLUMN market_quotes.wanted_of IS 'user broker to ask for it, of an open trade of the symbol';
CREATE INDEX market_quotes_wanted ON market_quotes (symbol) WHERE wanted_at > quoted_at;
"""

DOWNGRADE = """
DROP INDEX market_quotes_wanted;
ALTER TABLE market_quotes DROP COLUMN wanted_at, DROP COLUMN wanted_of;
"""


def upgrade() -> None:
    """Add the columns, and an index of the symbols that wait for a quote."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them; limits are renewed every few minutes then."""
    op.execute(DOWNGRADE)
