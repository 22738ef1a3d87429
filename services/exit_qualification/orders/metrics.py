"""Metrics of the order process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.runtime.telemetry import counter, gauge, histogram

BROKER_CALL_SECONDS = histogram("exit_broker_call_seconds", "how long calls to the broker take", "call")
BROKER_ERRORS = counter("exit_broker_errors", "failed calls to the broker", "call", "kind")
OLDEST_UNKNOWN_SECONDS = gauge("exit_orders_oldest_unknown_seconds", "since the oldest UNKNOWN exit was sent; 0: none")
UNDECIDABLE = gauge("exit_orders_undecidable", "exits of an earlier day, their outcome no longer in the books")
OVERFILLED = counter("exit_orders_overfilled", "times an exit order was filled beyond its quantity")
ORDER_BUDGET_WAITS = counter(
    "exit_order_budget_waits", "orders put off because their account had used up its orders", "limit"
)
ORDERS_WAITING_FOR_BUDGET = gauge(
    "exit_orders_waiting_for_budget", "approved exits waiting for their account's order budget"
)
UNREADABLE_ROWS = counter("exit_broker_unreadable_rows", "unreadable rows of an account's books, skipped", "book")
RESIZED_AT_BROKER = counter(
    "exit_orders_resized_at_broker", "exit orders with their quantity changed at the broker", "direction"
)
EXTERNAL_FILLS = counter("exit_external_fills", "fills of orders without our tag booked on a trade")
POSITION_SHORTFALL = gauge(
    "exit_position_shortfall", "shares of open trades missing from the positions at their brokers"
)
SQUARE_OFF_RACE_WAITS = counter(
    "exit_square_off_race_waits",
    "exits past their square-off held back: the position did not cover them or could not be read",
)
POSITION_UNCLEAR = gauge(
    "exit_orders_position_unclear", "exits with a missing order and too small a position to prove it unfilled"
)
PROTECTIVE_STOPS = gauge("exit_protective_stops", "stop orders held, or to be held, at brokers", "status")
PROTECTIVE_STOPS_FAILED = counter(
    "exit_protective_stops_failed", "stop orders refused by brokers or never received", "reason"
)
ORDER_LIMIT_REACHED = counter(
    "exit_order_limit_reached",
    "exits ended unfilled at the order limit of their trade and reason",
    "reason",
)
ACCOUNT_LOSS = gauge(
    "exit_account_loss", "loss in rupees of an account with a limit, by the basis of its limit", "user_broker_id"
)
ACCOUNT_LOSS_LIMIT = gauge("exit_account_loss_limit", "loss limit of an account for a day, in rupees", "user_broker_id")
ACCOUNT_UNPRICED_TRADES = gauge(
    "exit_account_unpriced_trades",
    "open trades of earlier days without a price; until they have one, the account's limit is not judged",
    "user_broker_id",
)
ACCOUNT_LOSSES_REACHED = counter(
    "exit_account_losses_reached", "times an account was held because of its loss", "user_broker_id"
)

INSTRUMENTS_AGE_SECONDS = gauge(
    "exit_instruments_age_seconds", "since the instruments of a source were loaded last", "source"
)


@contextmanager
def timed_call(call: str) -> Iterator[None]:
    """Time a call to the broker, including failed ones."""
    with BROKER_CALL_SECONDS.labels(call).time():
        yield
