"""Charge rates have an exchange, a segment and a source; charges may be unknown; NRML trades.

Revision ID: V017
Revises: V014
"""

from alembic import op

revision = "V017"
down_revision = "V014"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE trades
  DROP CONSTRAINT trades_product_type_check,
  ADD CONSTRAINT trades_product_type_check CHECK (product_type IN ('MIS', 'CNC', 'NRML')),
  DROP CONSTRAINT trades_closed_by_intent,
  ADD CONSTRAINT trades_closed_by_intent CHECK ((status = 'CLOSED') = (exit_intent_id IS NOT NULL)
    AND (status = 'CLOSED') = (open_quantity = 0)
    AND (status = 'OPEN' OR (exit_price IS NOT NULL AND exit_reason IS NOT NULL AND gross_pnl IS NOT NULL
         AND net_pnl IS NOT DISTINCT FROM gross_pnl - charges AND closed_at IS NOT NULL)));
COMMENT ON COLUMN trades.charges IS 'null once closed: unknown, as no schedule has rates for one of its days';

ALTER TABLE trade_closures
  ALTER COLUMN charges DROP NOT NULL,
  ALTER COLUMN net_pnl DROP NOT NULL,
  DROP CONSTRAINT trade_closures_check,
  ADD CONSTRAINT trade_closures_net CHECK (net_pnl IS NOT DISTINCT FROM gross_pnl - charges);
COMMENT ON COLUMN trade_closures.charges IS 'null: unknown, as no schedule has rates for one of its days';

ALTER TABLE charge_schedules
  DROP CONSTRAINT charge_schedules_product_type_check,
  ADD CONSTRAINT charge_schedules_product_type_check CHECK (product_type IN ('MIS', 'CNC', 'NRML')),
  ADD COLUMN exchange text NOT NULL DEFAULT 'NSE',
  ADD COLUMN segment text NOT NULL DEFAULT 'EQUITY'
    CONSTRAINT charge_schedules_segment CHECK (segment IN ('EQUITY', 'FUTURES', 'OPTIONS')),
  ADD COLUMN source text NOT NULL DEFAULT 'zerodha.com/charges',
  DROP CONSTRAINT charge_schedules_pkey,
  ADD PRIMARY KEY (exchange, segment, product_type, charge, side, effective_from);
COMMENT ON TABLE charge_schedules IS 'Rates by exchange, segment and product, effective-dated';
COMMENT ON COLUMN charge_schedules.source IS 'who published the rate';

INSERT INTO charge_schedules (exchange, segment, product_type, charge, side, rate, flat, maximum, rounding, enabled,
                              effective_from)
SELECT 'BSE', segment, product_type, charge, side, CASE charge WHEN 'EXCHANGE' THEN 0.0000375 ELSE rate END, flat,
       maximum, rounding, enabled, effective_from
  FROM charge_schedules WHERE exchange = 'NSE' AND segment = 'EQUITY';

INSERT INTO charge_schedules (exchange, segment, product_type, charge, side, rate, flat, maximum, rounding,
                              effective_from, effective_to, source)
SELECT r.exchange, r.segment, p.product_type, r.charge, r.side, r.rate, r.flat, r.maximum,
       CASE r.charge WHEN 'STT' THEN 'RUPEE' ELSE 'PAISA' END, CAST(r.effective_from AS date),
       CAST(r.effective_to AS date), r.source
  FROM (VALUES ('MIS'), ('NRML')) AS p (product_type),
       (SELECT m.exchange, 'FUTURES', c.charge, c.side, c.rate, 0, c.maximum, '2024-10-01', NULL, 'zerodha.com/charges'
          FROM (VALUES ('NSE'), ('BSE'), ('MCX')) AS m (exchange),
               (VALUES ('BROKERAGE', 'BOTH', 0.0003, 20), ('SEBI', 'BOTH', 0.000001, NULL),
                       ('STAMP', 'BUY', 0.00002, NULL), ('GST', 'BOTH', 0.18, NULL)) AS c (charge, side, rate, maximum)
        UNION ALL
        SELECT m.exchange, 'OPTIONS', c.charge, c.side, c.rate, c.flat, NULL, '2024-10-01', NULL, 'zerodha.com/charges'
          FROM (VALUES ('NSE'), ('BSE'), ('MCX')) AS m (exchange),
               (VALUES ('BROKERAGE', 'BOTH', 0, 20), ('SEBI', 'BOTH', 0.000001, 0),
                       ('STAMP', 'BUY', 0.00003, 0), ('GST', 'BOTH', 0.18, 0)) AS c (charge, side, rate, flat)
        UNION ALL
        SELECT e.exchange, e.segment, 'EXCHANGE', 'BOTH', e.rate, 0, NULL, '2024-10-01', NULL, 'zerodha.com/charges'
          FROM (VALUES ('NSE', 'FUTURES', 0.0000183), ('BSE', 'FUTURES', 0), ('MCX', 'FUTURES', 0.000021),
                       ('NSE', 'OPTIONS', 0.0003553), ('BSE', 'OPTIONS', 0.000325), ('MCX', 'OPTIONS', 0.000418))
               AS e (exchange, segment, rate)
        UNION ALL
        SELECT m.exchange, t.segment, 'STT', 'SELL', t.rate, 0, NULL, t.effective_from, t.effective_to, t.source
          FROM (VALUES ('NSE'), ('BSE')) AS m (exchange),
               (VALUES ('FUTURES', 0.0002, '2024-10-01', '2026-04-01', 'Finance (No. 2) Act 2024'),
                       ('FUTURES', 0.0005, '2026-04-01', NULL, 'Union Budget 2026-27'),
                       ('OPTIONS', 0.001, '2024-10-01', '2026-04-01', 'Finance (No. 2) Act 2024'),
                       ('OPTIONS', 0.0015, '2026-04-01', NULL, 'Union Budget 2026-27'))
               AS t (segment, rate, effective_from, effective_to, source)
        UNION ALL
        SELECT 'MCX', t.segment, 'STT', 'SELL', t.rate, 0, NULL, '2024-10-01', NULL, 'zerodha.com/charges'
          FROM (VALUES ('FUTURES', 0.0001), ('OPTIONS', 0.0005)) AS t (segment, rate))
       AS r (exchange, segment, charge, side, rate, flat, maximum, effective_from, effective_to, source);
"""

DOWNGRADE = """
DELETE FROM charge_schedules WHERE exchange <> 'NSE' OR segment <> 'EQUITY';
ALTER TABLE charge_schedules
  DROP CONSTRAINT charge_schedules_pkey,
  ADD PRIMARY KEY (product_type, charge, side, effective_from),
  DROP COLUMN exchange, DROP COLUMN segment, DROP COLUMN source,
  DROP CONSTRAINT charge_schedules_product_type_check,
  ADD CONSTRAINT charge_schedules_product_type_check CHECK (product_type IN ('MIS', 'CNC'));
ALTER TABLE trade_closures
  DROP CONSTRAINT trade_closures_net,
  ADD CONSTRAINT trade_closures_check CHECK (net_pnl = gross_pnl - charges),
  ALTER COLUMN charges SET NOT NULL,
  ALTER COLUMN net_pnl SET NOT NULL;
ALTER TABLE trades
  DROP CONSTRAINT trades_closed_by_intent,
  ADD CONSTRAINT trades_closed_by_intent CHECK ((status = 'CLOSED') = (exit_intent_id IS NOT NULL)
    AND (status = 'CLOSED') = (open_quantity = 0)
    AND (status = 'OPEN' OR (exit_price IS NOT NULL AND exit_reason IS NOT NULL AND gross_pnl IS NOT NULL
         AND charges IS NOT NULL AND net_pnl = gross_pnl - charges AND closed_at IS NOT NULL))),
  DROP CONSTRAINT trades_product_type_check,
  ADD CONSTRAINT trades_product_type_check CHECK (product_type IN ('MIS', 'CNC'));
"""


def upgrade() -> None:
    """Add the columns and the rates; charges that are unknown become null."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop the rates; refused by the database if a trade is NRML or has unknown charges."""
    op.execute(DOWNGRADE)
