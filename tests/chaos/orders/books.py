"""The books of both sides, compared to the share and the paisa."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

from services.checker.intents import check_one_exit, check_outcomes, check_signals
from services.exit_qualification.domain.open_trade import OpenTrade
from services.paper_broker import kite_format
from services.paper_broker.book_time import book_opened_ms
from shared.money import to_units
from tests.integration.paper_broker.conftest import RunningBroker
from tests.integration.trade_management.told_fills import book_told_fills

FILLS = text("""
SELECT trade_id, broker_order_id, split_part(broker_trade_id, '/', 1) AS broker_trade_id, price,
       sum(quantity) AS quantity
  FROM exit_fills GROUP BY 1, 2, 3, 4
""")
TAGS = text("SELECT client_order_id, trade_id FROM exit_intents")
CLOSED = text("SELECT trade_id, status, exit_price, gross_pnl FROM trades")

Execution = tuple[str, str, int, Decimal]


class Books:
    """Our ledgers and the paper broker's."""

    def __init__(self, exit_engine: Engine, trade_engine: Engine, paper: RunningBroker) -> None:
        self._exits = exit_engine
        self._trades = trade_engine
        self._desk = paper.desk

    def oversold(self, trades: Mapping[str, OpenTrade], unbounded: Container[str]) -> Iterator[str]:
        """Yield symbols whose orders of ours are two at a time, or for more than the trade, at the broker now."""
        ours: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for order in self._orders():
            if order["tag"]:
                ours[_symbol(order)].append(order)
        for symbol, orders in ours.items():
            working = [order for order in orders if order["status"] in ("OPEN", "TRIGGER PENDING")]
            if len(working) > 1:
                yield f"{symbol}: {len(working)} orders work at a time"
            filled = sum(order["filled_quantity"] for order in orders)
            open_ = sum(order["quantity"] - order["filled_quantity"] for order in working)
            if symbol not in unbounded and filled + open_ > trades[symbol].quantity:
                yield f"{symbol}: {filled} filled and {open_} at work of {trades[symbol].quantity}"

    def differences(self, trades: Sequence[OpenTrade]) -> list[str]:
        """Return everything on which the broker's books, intents, fills and closed trades disagree."""
        with self._exits.connect() as connection:
            findings = [check(connection) for check in (check_signals, check_one_exit, check_outcomes)]
        found = [f"{each.rule.number}: {line}" for each in findings for line in each.violations]
        found += [f"only at the broker: {each}" for each in sorted(self.unread())]
        found += [f"only here: {each}" for each in sorted(self._recorded() - self._executed())]
        found += list(self._positions_left(trades))
        return found + list(self._closures(trades))

    def unread(self) -> set[Execution]:
        """Return the fills known to the broker's books alone."""
        return self._executed() - self._recorded()

    def _recorded(self) -> set[Execution]:
        with self._exits.connect() as connection:
            return {
                (row.broker_order_id, row.broker_trade_id, int(row.quantity), row.price)
                for row in connection.execute(FILLS)
            }

    def _orders(self) -> list[dict[str, Any]]:
        """The broker's orders as its ledger has them, also those that no book shows yet."""
        since_ms = book_opened_ms(self._desk.records.now_ms())
        with self._desk.ledger.read() as books:
            return [kite_format.order(order) for order in books.orders.of_account("PAPER", since_ms)]

    def by_hand(self, symbol: str) -> int:
        """The quantity of orders that somebody else placed."""
        return sum(it["quantity"] for it in self._orders() if it["tag"] is None and _symbol(it) == symbol)

    def _executions(self) -> list[dict[str, Any]]:
        since_ms = book_opened_ms(self._desk.records.now_ms())
        with self._desk.ledger.read() as books:
            return [kite_format.trade(fill) for fill in books.orders.fills_of_account("PAPER", since_ms)]

    def _positions_left(self, trades: Sequence[OpenTrade]) -> Iterator[str]:
        """Yield positions at the broker that are not what late and raised orders filled beyond the trades."""
        left = self.remaining(trades)
        expected = {trade.symbol: trade.direction.sign * left[trade.trade_id] for trade in trades}
        for it in self._desk.records.positions("PAPER")["net"]:
            symbol = _symbol(it)
            if it["quantity"] != expected[symbol]:
                yield f"position {it['quantity']} left of {symbol}, {expected[symbol]} expected"

    def _executed(self) -> set[Execution]:
        return {
            (
                it["order_id"],
                it["trade_id"],
                it["quantity"],
                Decimal(str(it["average_price"])).quantize(Decimal("0.0001")),
            )
            for it in self._executions()
        }

    def close_trades(self) -> None:
        """Let trade management book what was said of the intents, in order."""
        book_told_fills(self._exits, self._trades)

    def _closures(self, trades: Sequence[OpenTrade]) -> Iterator[str]:
        with self._trades.connect() as connection:
            closed = {row.trade_id: row for row in connection.execute(CLOSED)}
        values, left = self._exit_values(), self.remaining(trades)
        for trade in trades:
            row, value = closed[trade.trade_id], values[trade.symbol]
            gross = trade.direction.sign * (value - trade.quantity * Decimal(trade.entry_price) / to_units(Decimal(1)))
            if row.status != "CLOSED":
                yield f"trade {trade.trade_id} of {trade.symbol} is {row.status}"
            elif left[trade.trade_id] == 0 and abs(row.gross_pnl - gross) >= Decimal("0.005"):
                yield f"trade {trade.trade_id}: gross {row.gross_pnl}, by the broker's fills {gross}"

    def _exit_values(self) -> dict[str, Decimal]:
        values: defaultdict[str, Decimal] = defaultdict(Decimal)
        for it in self._executions():
            values[_symbol(it)] += it["quantity"] * Decimal(str(it["average_price"]))
        return values

    def remaining(self, trades: Sequence[OpenTrade]) -> dict[UUID, int]:
        """Return what the fills have left of each trade."""
        with self._exits.connect() as connection:
            filled = Counter[UUID]()
            for row in connection.execute(FILLS):
                filled[row.trade_id] += int(row.quantity)
        return {trade.trade_id: trade.quantity - filled[trade.trade_id] for trade in trades}


def _symbol(item: Mapping[str, Any]) -> str:
    return f"{item['exchange']}:{item['tradingsymbol']}"
