"""Orders, their states and their fills in the ledger."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace

from services.paper_broker.book_time import number_at
from services.paper_broker.orders import Execution, FillPlan, Order, Side, Stage

_COLUMNS = """order_number, account, symbol, side, product, order_type, validity, quantity, limit_units,
    protection_units, tag, status, status_message, filled_quantity, filled_value, modified, placed_ms, updated_ms,
    trigger_units, ttl_minutes"""
_STATE_FIELDS = (
    "status",
    "status_message",
    "quantity",
    "limit_units",
    "trigger_units",
    "filled_quantity",
    "filled_value",
    "modified",
    "updated_ms",
)
_STATE = ", ".join(_STATE_FIELDS)
_ORDERS_OF_ACCOUNT = f"SELECT {_COLUMNS} FROM orders WHERE account = ? AND order_number >= ? ORDER BY order_number"  # noqa: S608  # constants
_ORDER = f"SELECT {_COLUMNS} FROM orders WHERE order_number = ? AND account = ?"  # noqa: S608  # constants
_NUMBERED = f"SELECT {_COLUMNS} FROM orders WHERE order_number = ?"  # noqa: S608  # constants
_WORKING = "status IN ('OPEN', 'TRIGGER PENDING')"  # as in the index
_WORKING_OF_ACCOUNT = (
    f"SELECT {_COLUMNS} FROM orders WHERE account = ? AND order_number >= ? AND {_WORKING} ORDER BY order_number"  # noqa: S608  # constants
)
_UNFILLED_AT_WORK = (
    f"SELECT coalesce(sum(quantity - filled_quantity), 0) FROM orders WHERE {_WORKING} AND symbol = ?"  # noqa: S608  # constants
    " AND order_number >= ? AND account = ? AND product = ? AND side = ?"
)
_AT_WORK = (
    f"SELECT {_COLUMNS}, fill_plan FROM orders WHERE {_WORKING} AND symbol = ? AND order_number >= ?"  # noqa: S608  # constants
    " ORDER BY order_number"
)
_TO_RESUME = (
    f"SELECT {_COLUMNS}, fill_plan FROM orders"  # noqa: S608  # constants
    " WHERE status = 'OPEN' AND resume_ms <= ? AND order_number >= ?"
    " ORDER BY resume_ms, order_number LIMIT ?"
)
_INSERT = f"INSERT INTO orders ({_COLUMNS}, fill_plan, resume_ms) VALUES ({', '.join('?' * 22)})"  # noqa: S608  # constants
_UPDATE = (
    f"UPDATE orders SET {', '.join(f'{name} = ?' for name in _STATE_FIELDS)},"  # noqa: S608  # constants
    " order_type = ?, validity = ?, protection_units = ? WHERE order_number = ?"
)
_ADD_STATE = f"""INSERT INTO order_states (order_number, step, {_STATE})
    SELECT order_number, (SELECT count(*) FROM order_states s WHERE s.order_number = o.order_number), {_STATE}
    FROM orders o WHERE order_number = ?"""  # noqa: S608  # constants
_FILLS = """SELECT f.trade_number, f.quantity, f.price_units, f.filled_ms, o.order_number, o.symbol, o.side, o.product
    FROM fills f JOIN orders o USING (order_number)"""
_FILLS_OF_ACCOUNT = f"{_FILLS} WHERE o.account = ? AND o.order_number >= ? ORDER BY f.trade_number"
_FILLS_OF_ORDER = f"{_FILLS} WHERE o.order_number = ? ORDER BY f.trade_number"


@dataclass(frozen=True, slots=True)
class Fill:
    """Fill with the fields of its order that clients see."""

    trade_number: int
    quantity: int
    price_units: int
    filled_ms: int
    order_number: int
    symbol: str
    side: str
    product: str


class OrderStore:
    """Orders within one transaction.

    Attributes
    ----------
    changes:
        States of orders stored by this transaction, oldest first.
    delays:
        Whether this transaction stored an order with delayed fills.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.changes: list[Order] = []
        self.delays = False

    def next_number(self, now_ms: int) -> int:
        """Return a new order number, greater than all before."""
        return self._next("SELECT max(order_number) FROM orders", now_ms)

    def insert(self, order: Order, plan: FillPlan, resume_ms: int | None) -> None:
        """Store a new order and its first state."""
        self._connection.execute(_INSERT, (*astuple(order), _plan_text(plan), resume_ms))
        self.delays |= bool(plan)
        self._add_state(order)

    def update(self, order: Order) -> None:
        """Store an order's change and append the new state."""
        terms = (order.order_type, order.validity, order.protection_units)
        self._connection.execute(_UPDATE, (*_state(order), *terms, order.number))
        self._add_state(order)

    def set_resume(self, order_number: int, resume_ms: int | None) -> None:
        """Store when the order's fill plan next allows more."""
        self._connection.execute("UPDATE orders SET resume_ms = ? WHERE order_number = ?", (resume_ms, order_number))

    def set_plan(self, order_number: int, plan: FillPlan, resume_ms: int | None) -> None:
        """Replace the order's fill plan."""
        self._connection.execute(
            "UPDATE orders SET fill_plan = ?, resume_ms = ? WHERE order_number = ?",
            (_plan_text(plan), resume_ms, order_number),
        )
        self.delays = True

    def add_fill(self, order_number: int, execution: Execution) -> None:
        """Store a fill under a new trade number."""
        number = self._next("SELECT max(trade_number) FROM fills", execution.at_ms)
        self._connection.execute(
            "INSERT INTO fills (trade_number, order_number, quantity, price_units, filled_ms) VALUES (?, ?, ?, ?, ?)",
            (number, order_number, execution.quantity, execution.price_units, execution.at_ms),
        )

    def of_account(self, account: str, since_ms: int) -> Iterator[Order]:
        """Return the account's orders placed since then, oldest first, with one query over an index."""
        return (Order(*row) for row in self._connection.execute(_ORDERS_OF_ACCOUNT, (account, number_at(since_ms))))

    def count_since(self, account: str, since_ms: int) -> int:
        """Return the number of the account's orders placed since then."""
        (count,) = self._connection.execute(
            "SELECT count(*) FROM orders WHERE account = ? AND order_number >= ?", (account, number_at(since_ms))
        ).fetchone()
        return int(count)

    def find(self, account: str, number: int, since_ms: int) -> Order | None:
        """Return an order of the account if it was placed since then."""
        if number < number_at(since_ms):
            return None
        row = self._connection.execute(_ORDER, (number, account)).fetchone()
        return Order(*row) if row else None

    def numbered(self, number: int) -> Order:
        """Return the order with this number, of any account and day."""
        return Order(*self._connection.execute(_NUMBERED, (number,)).fetchone())

    def plan_of(self, number: int) -> FillPlan:
        """Return an order's fill plan."""
        (text,) = self._connection.execute("SELECT fill_plan FROM orders WHERE order_number = ?", (number,)).fetchone()
        return _plan(text)

    def at_work(self, symbol: str, since_ms: int) -> list[tuple[Order, FillPlan]]:
        """Return the symbol's working orders placed since then, oldest first, with their fill plans."""
        rows = self._connection.execute(_AT_WORK, (symbol, number_at(since_ms)))
        return [(Order(*row[:-1]), _plan(row[-1])) for row in rows]

    def working_of(self, account: str, since_ms: int) -> list[Order]:
        """Return the account's working orders placed since then, oldest first."""
        return [Order(*row) for row in self._connection.execute(_WORKING_OF_ACCOUNT, (account, number_at(since_ms)))]

    def unfilled_at_work(self, account: str, symbol: str, product: str, side: Side, since_ms: int) -> int:
        """Return the unfilled quantity of working orders on one side of a position, placed since then."""
        wanted = (symbol, number_at(since_ms), account, product, side)
        (unfilled,) = self._connection.execute(_UNFILLED_AT_WORK, wanted).fetchone()
        return int(unfilled)

    def symbols_at_work(self, since_ms: int) -> set[str]:
        """Return symbols with a working order placed since then."""
        rows = self._connection.execute(
            f"SELECT DISTINCT symbol FROM orders WHERE {_WORKING} AND order_number >= ?",  # noqa: S608  # constants
            (number_at(since_ms),),
        )
        return {symbol for (symbol,) in rows}

    def to_resume(self, by_ms: int, since_ms: int, limit: int) -> list[tuple[Order, FillPlan]]:
        """Return at most `limit` open orders placed since then whose fill plan allows more by `by_ms`."""
        rows = self._connection.execute(_TO_RESUME, (by_ms, number_at(since_ms), limit))
        return [(Order(*row[:-1]), _plan(row[-1])) for row in rows]

    def states_of(self, order: Order) -> list[Order]:
        """Return the order's states after each change, oldest first."""
        rows = self._connection.execute(
            f"SELECT {_STATE} FROM order_states WHERE order_number = ? ORDER BY step",  # noqa: S608  # constants
            (order.number,),
        )
        return [replace(order, **dict(zip(_STATE_FIELDS, row, strict=True))) for row in rows]

    def fills_of_account(self, account: str, since_ms: int) -> list[Fill]:
        """Return fills of the account's orders placed since then, oldest first."""
        return [Fill(*row) for row in self._connection.execute(_FILLS_OF_ACCOUNT, (account, number_at(since_ms)))]

    def fills_of_order(self, number: int) -> list[Fill]:
        """Return fills of one order, oldest first."""
        return [Fill(*row) for row in self._connection.execute(_FILLS_OF_ORDER, (number,))]

    def _add_state(self, order: Order) -> None:
        self._connection.execute(_ADD_STATE, (order.number,))
        self.changes.append(order)

    def _next(self, greatest: str, now_ms: int) -> int:
        (last,) = self._connection.execute(greatest).fetchone()
        return max((last or 0) + 1, number_at(now_ms))


def _state(order: Order) -> tuple[object, ...]:
    return tuple(getattr(order, name) for name in _STATE_FIELDS)


def _plan_text(plan: FillPlan) -> str | None:
    return json.dumps([astuple(stage) for stage in plan]) if plan else None


def _plan(text: str | None) -> FillPlan:
    return tuple(Stage(*stage) for stage in json.loads(text)) if text else ()
