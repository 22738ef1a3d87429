"""The check of exits' quantities looks up the exits of a trade, not all pending ones for each trade.

Revision ID: V035
Revises: V032
"""

from alembic import op

revision = "V035"
down_revision = "V032"
branch_labels = None
depends_on = None

LIVE = "'PENDING', 'APPROVED', 'SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED'"
CHECK = """
CREATE OR REPLACE FUNCTION exit_intents_check_quantity(of_trades uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  over record;
BEGIN
  PERFORM FROM open_trades t WHERE t.trade_id = ANY (of_trades) ORDER BY t.trade_id FOR UPDATE;
  SELECT t.trade_id, t.quantity, filled.quantity AS filled, wanted.quantity AS wanted INTO over
    FROM open_trades t
   CROSS JOIN LATERAL (SELECT coalesce(sum(f.quantity), 0) AS quantity
                         FROM exit_fills f WHERE f.trade_id = t.trade_id) AS filled
   CROSS JOIN LATERAL (SELECT coalesce(sum(i.quantity - i.filled_quantity), 0) AS quantity
                         FROM {exits}
                          AND i.exit_reason <> 'EXTERNAL' AND i.status IN ({live})) AS wanted
   WHERE t.trade_id = ANY (of_trades) AND filled.quantity + wanted.quantity > t.quantity
   LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'exits of trade % want % with % filled, more than its quantity %',
                    over.trade_id, over.wanted, over.filled, over.quantity
      USING ERRCODE = 'check_violation', CONSTRAINT = 'exit_intents_within_trade';
  END IF;
END
$$;
"""

BEFORE = """exit_intents i
                        WHERE i.trade_id = t.trade_id AND i.executable AND i.deleted_at IS NULL"""

# OFFSET 0 keeps the status out of the look-up: without statistics the planner takes the index of all pending exits.
BY_TRADE = """(SELECT * FROM exit_intents e WHERE e.trade_id = t.trade_id AND e.deleted_at IS NULL OFFSET 0) i
                        WHERE i.executable"""


def upgrade() -> None:
    """Look up by trade."""
    op.execute(CHECK.format(exits=BY_TRADE, live=LIVE))


def downgrade() -> None:
    """Look up as before."""
    op.execute(CHECK.format(exits=BEFORE, live=LIVE))
