"""Instruments of brokers, and when they were loaded.

Revision ID: V026
Revises: V021
"""

from alembic import op

revision = "V026"
down_revision = "V021"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE instruments (
  symbol text PRIMARY KEY,
  instrument_type text,
  tick_size numeric(18,4) CHECK (tick_size > 0),
  lot_size bigint CHECK (lot_size > 0),
  freeze_quantity bigint CHECK (freeze_quantity > 0),
  expiry date,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE instruments IS 'Instruments as brokers list them; null where the files say nothing';
COMMENT ON COLUMN instruments.freeze_quantity IS 'largest quantity of one order; not in the files of brokers, loaded from a file of the exchange';
GRANT SELECT, INSERT, UPDATE ON instruments TO exitflow_exit;

CREATE TABLE instrument_loads (
  source text PRIMARY KEY,
  requested_at timestamptz,
  tried_at timestamptz,
  loaded_at timestamptz,
  instruments integer NOT NULL DEFAULT 0,
  skipped integer NOT NULL DEFAULT 0,
  error text
);
COMMENT ON TABLE instrument_loads IS 'For each broker, and for files, the last load of its instruments';
COMMENT ON COLUMN instrument_loads.skipped IS 'rows of the last load that are no instruments of ours';
GRANT SELECT, INSERT, UPDATE ON instrument_loads TO exitflow_exit;
"""

DOWNGRADE = "DROP TABLE instrument_loads; DROP TABLE instruments"


def upgrade() -> None:
    """Make the tables; exit-orders fills them."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them; they are loaded again after the next upgrade."""
    op.execute(DOWNGRADE)
