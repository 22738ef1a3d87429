"""Repository of market facts, and the rows that SQL conditions of gates may name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, text

from services.exit_qualification.domain.market_facts import InstrumentTerms, MarketFacts, PriceFacts
from shared.contracts.vocabulary import MarketPhase
from shared.postgres.hot_path import Answer, ask

_PHASES: Final = """
  LEFT JOIN market_now m ON m.exchange = split_part(i.symbol, ':', 1)
  LEFT JOIN market_now a ON a.exchange = '*'
"""
_PRICE_OF_EACH: Final = """
  LEFT JOIN LATERAL (SELECT * FROM market_prices WHERE symbol = i.symbol OFFSET 0) AS p ON true
"""
"""The OFFSET makes the planner look prices up: it would read those of all symbols, whose number it learns too late."""

_SWITCHES: Final = """
  LEFT JOIN user_brokers b ON b.user_broker_id = i.user_broker_id
 CROSS JOIN kill_switch k
 CROSS JOIN rollout r
"""
GATE_ROWS: Final = f"""
  {_SWITCHES}
  {_PHASES}
  {_PRICE_OF_EACH}
"""
"""Joins of every row that a gate's SQL condition may name, to a few rows `i` of exit_intents; at most one of each."""

GATE_ROWS_OF_MANY: Final = f"""
  {_SWITCHES}
  {_PHASES}
  LEFT JOIN market_prices p ON p.symbol = i.symbol
"""
"""The same for many rows `i`: the prices of all symbols are read once."""

READ = text(f"""
-- market_facts.read
SELECT i.symbol, coalesce(m.phase, a.phase) AS phase, n.tick_size, n.lot_size, n.freeze_quantity,
       coalesce(m.tick_fresh_ms, a.tick_fresh_ms, 3000) AS tick_fresh_ms,
       greatest(extract(epoch FROM clock_timestamp() - p.priced_at) * 1000, 0)::bigint AS age_ms,
       p.last_price, p.lower_limit, p.upper_limit, p.buy_quantity, p.sell_quantity
  FROM unnest(CAST(:symbols AS text[])) AS i (symbol)
  LEFT JOIN instruments n ON n.symbol = i.symbol
  {_PHASES}
  {_PRICE_OF_EACH}
""")  # noqa: S608  # joins of our own


class MarketFactsRepository:
    """Market facts of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, symbols: Collection[str]) -> dict[str, MarketFacts]:
        """Return the facts of each symbol, in one statement."""
        return self.ask(symbols).get() if symbols else {}

    def ask(self, symbols: Collection[str]) -> Answer[dict[str, MarketFacts]]:
        """Ask for the result of `read`."""
        return ask(self._connection, READ, {"symbols": sorted(set(symbols))}, _by_symbol)


def _by_symbol(rows: Sequence[tuple[Any, ...]]) -> dict[str, MarketFacts]:
    return {row[0]: _facts(*row[1:]) for row in rows}


def _facts(
    phase: str | None,
    tick_size: Decimal | None,
    lot_size: int | None,
    freeze_quantity: int | None,
    tick_fresh_ms: int,
    age_ms: int | None,
    *price: Any,
) -> MarketFacts:
    """Return the facts in the columns after a row's symbol."""
    return MarketFacts(
        phase=None if phase is None else MarketPhase(phase),
        instrument=InstrumentTerms(tick_size, lot_size, freeze_quantity),
        price=PriceFacts(age_ms, *price),
        tick_fresh_ms=tick_fresh_ms,
    )
