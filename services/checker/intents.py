"""Rules 1, 4 and 6: consistency of the exit schema's intents, in SQL."""

from __future__ import annotations

from sqlalchemy import Connection, TextClause, text

from services.checker.finding import Finding, Rule, finding

COUNT = text("""
-- invariants.intents
SELECT count(*) FROM exit_intents
""")
WITHOUT_SIGNAL = text("""
-- invariants.without_signal
SELECT format('intent %s of trade %s has no signal of its trade, reason and episode', i.intent_id, i.trade_id)
  FROM exit_intents i
 WHERE NOT EXISTS (SELECT FROM exit_signals s
                    WHERE (s.signal_id, s.trade_id, s.exit_reason, s.episode_id)
                        = (i.signal_id, i.trade_id, i.exit_reason, i.episode_id))
""")
TWO_EXITS = text("""
-- invariants.two_exits
SELECT format('trade %s at %s has %s intents%s that are live or filled: %s', trade_id, user_broker_id, count(*),
              ' of leg ' || leg, string_agg(intent_id::text || ' ' || status, ', ' ORDER BY intent_id))
  FROM exit_intents
 WHERE executable AND deleted_at IS NULL AND exit_reason <> 'EXTERNAL'
   AND status IN ('PENDING', 'APPROVED', 'SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED', 'FILLED')
   AND NOT (status = 'FILLED' AND beside_leg)
 GROUP BY trade_id, user_broker_id, leg
HAVING count(*) > 1
UNION ALL
SELECT format('trade %s has %s filled and %s wanted by live intents, of %s', t.trade_id, f.filled, w.wanted, t.quantity)
  FROM open_trades t
 CROSS JOIN LATERAL (SELECT coalesce(sum(quantity - filled_quantity), 0) AS wanted FROM exit_intents i
                      WHERE i.trade_id = t.trade_id AND i.executable AND i.deleted_at IS NULL
                        AND i.exit_reason <> 'EXTERNAL'
                        AND i.status IN ('PENDING', 'APPROVED', 'SUBMITTING', 'UNKNOWN', 'PLACED',
                                         'PARTIALLY_FILLED')) AS w
 CROSS JOIN LATERAL (SELECT coalesce(sum(quantity), 0) AS filled FROM exit_fills e WHERE e.trade_id = t.trade_id) AS f
 WHERE w.wanted > 0 AND f.filled + w.wanted > t.quantity
""")
UNCLEAR_OUTCOMES = text("""
-- invariants.unclear_outcomes: every sent intent must come to rest, and its fills must add up
WITH filled AS (
  SELECT intent_id, trade_id, sum(quantity) AS quantity,
         round(sum(quantity * price) / sum(quantity), 4) AS average_price
    FROM exit_fills GROUP BY intent_id, trade_id
), told AS (
  SELECT i.*, coalesce(f.quantity, 0) AS summed, f.average_price AS recomputed
    FROM exit_intents i LEFT JOIN filled f USING (intent_id, trade_id)
)
SELECT format('intent %s is %s', intent_id, status) FROM told WHERE status IN ('SUBMITTING', 'UNKNOWN')
UNION ALL
SELECT format('intent %s is FILLED for %s, its fills are %s', intent_id, quantity, summed)
  FROM told WHERE status = 'FILLED' AND summed < quantity
UNION ALL
SELECT format('intent %s says %s filled, its fills are %s', intent_id, filled_quantity, summed)
  FROM told WHERE filled_quantity <> summed
UNION ALL
SELECT format('intent %s says an average price of %s, its fills are %s', intent_id, average_price, recomputed)
  FROM told WHERE summed > 0 AND average_price IS DISTINCT FROM recomputed
UNION ALL
SELECT format('fill %s of order %s has no intent of its trade', broker_trade_id, broker_order_id)
  FROM exit_fills f
 WHERE NOT EXISTS (SELECT FROM exit_intents i WHERE (i.intent_id, i.trade_id) = (f.intent_id, f.trade_id))
""")


def check_signals(connection: Connection) -> Finding:
    """Rule 1."""
    return _ask(connection, Rule.SIGNAL, WITHOUT_SIGNAL)


def check_one_exit(connection: Connection) -> Finding:
    """Rule 4."""
    return _ask(connection, Rule.ONE_EXIT, TWO_EXITS)


def check_outcomes(connection: Connection) -> Finding:
    """Rule 6. The orders must have had their time to end."""
    return _ask(connection, Rule.OUTCOME, UNCLEAR_OUTCOMES)


def _ask(connection: Connection, rule: Rule, statement: TextClause) -> Finding:
    checked = connection.execute(COUNT).scalar_one()
    return finding(rule, checked, connection.execute(statement).scalars())
