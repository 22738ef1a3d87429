"""Repository of brokers' quotes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, TextClause, text

from services.exit_qualification.domain.circuit_limits import CircuitLimits, circuit_limits
from services.exit_qualification.domain.gates.registry import QUOTED_GATES, deferred_sql
from services.exit_qualification.domain.gates.tick_fresh import older_sql
from services.exit_qualification.domain.market_facts import Quote
from services.exit_qualification.storage.market_facts import GATE_ROWS_OF_MANY
from services.exit_qualification.storage.unsent_exits import MOVABLE

_ANY_ACCOUNT = """b.token_refused_at IS NOT NULL, b.user_broker_id = ANY (CAST(:silent AS text[])),
          hashtextextended(b.user_broker_id, (SELECT floor(1e9 * random())::bigint))"""
"""Order of accounts `b`, the same for all rows of a statement and another one each time; silent ones come last.

A quote serves every account, so one is asked for each symbol, and few for all of them.
"""
SOON = 0.5
"""Part of a price's fresh time after which exits still waiting need another one.

A burst longer than the fresh time of its tick would else stop until a quote has come.
"""
NEEDED_NOW = text(f"""
-- market_quotes.needed_now: symbols with exits in need of a quote of the broker, or with a price soon too old, unless
-- kill switch or account hold them; and symbols with a tick beyond limits of before
WITH {MOVABLE}
SELECT DISTINCT ON (n.symbol) n.user_broker_id, n.symbol FROM (
  SELECT i.user_broker_id, i.symbol
    FROM movable i
    LEFT JOIN market_quotes q ON q.symbol = i.symbol
    {GATE_ROWS_OF_MANY}
   WHERE ({deferred_sql(QUOTED_GATES)} OR ({older_sql(SOON)}))
     AND coalesce(q.quoted_at < clock_timestamp() - make_interval(secs => :every_s), true)
  UNION ALL
  SELECT a.user_broker_id, q.symbol
    FROM market_quotes q
   CROSS JOIN (SELECT b.user_broker_id FROM user_brokers b WHERE b.status = 'CONNECTED'
                ORDER BY {_ANY_ACCOUNT} LIMIT 1) AS a
   WHERE q.wanted_at > q.quoted_at AND q.quoted_at < clock_timestamp() - make_interval(secs => :every_s)
) AS n
  JOIN user_brokers b USING (user_broker_id)
 ORDER BY n.symbol, {_ANY_ACCOUNT}
 LIMIT :limit
""")  # noqa: S608  # the conditions of our own gates
NEEDED_TODAY = text(f"""
-- market_quotes.needed_today: symbols of open trades with old limits
SELECT DISTINCT ON (t.symbol) t.user_broker_id, t.symbol
  FROM open_trades t
  JOIN user_brokers b ON b.user_broker_id = t.user_broker_id AND b.status = 'CONNECTED'
  LEFT JOIN market_quotes q ON q.symbol = t.symbol
 WHERE t.status = 'OPEN' AND coalesce(q.quoted_at < clock_timestamp() - make_interval(secs => :every_s), true)
 ORDER BY t.symbol, {_ANY_ACCOUNT}
 LIMIT :limit
""")  # noqa: S608  # the order above
UPSERT = text("""
-- market_quotes.upsert
INSERT INTO market_quotes (symbol, last_price, lower_limit, upper_limit, buy_quantity, sell_quantity)
SELECT * FROM unnest(CAST(:symbols AS text[]), CAST(:prices AS numeric[]), CAST(:lower AS numeric[]),
                     CAST(:upper AS numeric[]), CAST(:buyers AS bigint[]), CAST(:sellers AS bigint[])) ORDER BY 1
ON CONFLICT (symbol) DO UPDATE
   SET last_price = EXCLUDED.last_price, lower_limit = EXCLUDED.lower_limit, upper_limit = EXCLUDED.upper_limit,
       buy_quantity = EXCLUDED.buy_quantity, sell_quantity = EXCLUDED.sell_quantity, quoted_at = clock_timestamp()
""")
ANY_WANTED = "EXISTS (SELECT FROM market_quotes WHERE wanted_at > quoted_at)"
"""Whether ticks wait for a quote, in SQL; an index has only such rows."""
WANT = text("""
-- market_quotes.want: a locked row is just being renewed
UPDATE market_quotes SET wanted_at = clock_timestamp()
 WHERE symbol IN (SELECT symbol FROM market_quotes
                   WHERE symbol = ANY (CAST(:symbols AS text[])) ORDER BY symbol FOR UPDATE SKIP LOCKED)
RETURNING symbol
""")
ANSWERED = text("""
-- market_quotes.answered
SELECT symbol FROM market_quotes WHERE symbol = ANY (CAST(:symbols AS text[])) AND quoted_at > wanted_at
""")
LIMITS_SINCE = text("""
-- market_quotes.limits_since
SELECT symbol, lower_limit, upper_limit, (quoted_at AT TIME ZONE 'Asia/Kolkata')::date - DATE '1970-01-01' AS day,
       quoted_at
  FROM market_quotes
 WHERE quoted_at > :since
""")


class QuoteRepository:
    """Quotes of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def needed_now(self, every_s: float, limit: int, silent: Sequence[str] = ()) -> dict[str, list[str]]:
        """Return the symbols with a waiting exit that a new quote could let pass, by the user broker to ask.

        `silent` are accounts that did not answer lately: they are asked only where no other can be.
        """
        return self._symbols(NEEDED_NOW, every_s, limit, silent)

    def needed_today(self, every_s: float, limit: int, silent: Sequence[str] = ()) -> dict[str, list[str]]:
        """Return symbols of open trades with a last quote older than `every_s`, by the user broker to ask."""
        return self._symbols(NEEDED_TODAY, every_s, limit, silent)

    def upsert(self, quotes: Sequence[Quote]) -> None:
        """Store quotes, in one statement."""
        if not quotes:
            return
        self._connection.execute(
            UPSERT,
            {
                "symbols": [quote.symbol for quote in quotes],
                "prices": [quote.last_price for quote in quotes],
                "lower": [quote.lower_limit for quote in quotes],
                "upper": [quote.upper_limit for quote in quotes],
                "buyers": [quote.buy_quantity for quote in quotes],
                "sellers": [quote.sell_quantity for quote in quotes],
            },
        )

    def want(self, symbols: Sequence[str]) -> list[str]:
        """Ask for a new quote of each symbol, of any account; return the symbols asked for.

        A symbol without a quote, or with a locked one, is left out.
        """
        return list(self._connection.execute(WANT, {"symbols": list(symbols)}).scalars())

    def answered(self, symbols: Sequence[str]) -> list[str]:
        """Return those of these symbols with a quote from after they were asked for."""
        return list(self._connection.execute(ANSWERED, {"symbols": list(symbols)}).scalars())

    def limits_since(self, since: datetime) -> tuple[dict[str, CircuitLimits], datetime | None]:
        """Return the limits in the quotes after a time, by symbol, and the time of the newest of these quotes."""
        rows = self._connection.execute(LIMITS_SINCE, {"since": since}).all()
        limits = {row.symbol: circuit_limits(row.day, row.lower_limit, row.upper_limit) for row in rows}
        return limits, max((row.quoted_at for row in rows), default=None)

    def _symbols(
        self, statement: TextClause, every_s: float, limit: int, silent: Sequence[str]
    ) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        rows = self._connection.execute(statement, {"every_s": every_s, "limit": limit, "silent": list(silent)})
        for row in rows:
            found[row.user_broker_id].append(row.symbol)
        return found
