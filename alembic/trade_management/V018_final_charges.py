"""Charges of contract notes, which make those of a trade final.

Revision ID: V018
Revises: V017
"""

from alembic import op

revision = "V018"
down_revision = "V017"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE final_charges (
  trade_id uuid NOT NULL REFERENCES trades (trade_id),
  leg text NOT NULL CHECK (leg IN ('ENTRY', 'EXIT')),
  nth smallint NOT NULL CHECK (nth > 0),
  lines jsonb NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (trade_id, leg, nth)
);
COMMENT ON TABLE final_charges IS 'What contract notes charge for a leg of a trade; the last row of a leg counts';
GRANT SELECT, INSERT ON final_charges TO exitflow_trade;

ALTER TABLE trades ADD COLUMN charges_final boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN trades.charges_final IS 'charges are those of contract notes, of entry and exit';
COMMENT ON TABLE charge_lines IS 'What each closure was estimated to cost, line by line; see final_charges';
"""


def upgrade() -> None:
    """Add the table and the column."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them; final amounts stay in the trades."""
    op.execute("ALTER TABLE trades DROP COLUMN charges_final; DROP TABLE final_charges")
