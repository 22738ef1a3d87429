"""Charge rates of currency futures and options of NSE and BSE.

Revision ID: V022
Revises: V019
"""

from alembic import op

revision = "V022"
down_revision = "V019"
branch_labels = None
depends_on = None

UPGRADE = """
INSERT INTO charge_schedules (exchange, segment, product_type, charge, side, rate, flat, maximum, rounding,
                              effective_from, source)
SELECT r.exchange, r.segment, p.product_type, r.charge, r.side, r.rate, r.flat, r.maximum, 'PAISA',
       DATE '2024-10-01', 'zerodha.com/charges'
  FROM (VALUES ('MIS'), ('NRML')) AS p (product_type),
       (SELECT e.exchange, e.segment, 'EXCHANGE' AS charge, 'BOTH' AS side, e.rate, 0 AS flat, NULL::numeric AS maximum
          FROM (VALUES ('CDS', 'FUTURES', 0.0000035), ('CDS', 'OPTIONS', 0.000311),
                       ('BCD', 'FUTURES', 0.0000045), ('BCD', 'OPTIONS', 0.00001)) AS e (exchange, segment, rate)
        UNION ALL
        SELECT m.exchange, c.segment, c.charge, c.side, c.rate, c.flat, c.maximum
          FROM (VALUES ('CDS'), ('BCD')) AS m (exchange),
               (VALUES ('FUTURES', 'BROKERAGE', 'BOTH', 0.0003, 0, 20), ('OPTIONS', 'BROKERAGE', 'BOTH', 0, 20, NULL),
                       ('FUTURES', 'SEBI', 'BOTH', 0.000001, 0, NULL), ('OPTIONS', 'SEBI', 'BOTH', 0.000001, 0, NULL),
                       ('FUTURES', 'STAMP', 'BUY', 0.000001, 0, NULL), ('OPTIONS', 'STAMP', 'BUY', 0.000001, 0, NULL),
                       ('FUTURES', 'GST', 'BOTH', 0.18, 0, NULL), ('OPTIONS', 'GST', 'BOTH', 0.18, 0, NULL))
               AS c (segment, charge, side, rate, flat, maximum)) AS r;
"""


def upgrade() -> None:
    """Add the rates."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Remove them."""
    op.execute("DELETE FROM charge_schedules WHERE exchange IN ('CDS', 'BCD')")
