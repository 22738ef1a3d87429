"""Metrics of the order process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.runtime.telemetry import counter, gauge, histogram

BROKER_CALL_SECONDS = histogram("exit_broker_call_seconds", "how long calls to the broker take", "call")
BROKER_ERRORS = counter("exit_broker_errors", "calls to the broker that raised", "call", "kind")
OLDEST_UNKNOWN_SECONDS = gauge("exit_orders_oldest_unknown_seconds", "since the oldest UNKNOWN exit was sent; 0: none")
UNDECIDABLE = gauge("exit_orders_undecidable", "exits sent on an earlier day whose fate the books no longer show")
OVERFILLED = counter("exit_orders_overfilled", "times that an exit order was filled beyond its quantity")
ORDER_BUDGET_WAITS = counter(
    "exit_order_budget_waits", "orders put off because their account had used up its orders", "limit"
)
ORDERS_WAITING_FOR_BUDGET = gauge(
    "exit_orders_waiting_for_budget", "approved exits whose account has used up its orders for now"
)
UNREADABLE_ROWS = counter(
    "exit_broker_unreadable_rows", "rows of an account's books that could not be read and were skipped", "book"
)
RESIZED_AT_BROKER = counter(
    "exit_orders_resized_at_broker", "exit orders whose quantity somebody changed at the broker", "direction"
)
EXTERNAL_FILLS = counter("exit_external_fills", "fills of orders without our tag that closed quantity of a trade")
POSITION_SHORTFALL = gauge(
    "exit_position_shortfall", "shares that open trades need and the positions at their brokers lack"
)
SQUARE_OFF_RACE_WAITS = counter(
    "exit_square_off_race_waits",
    "times that an exit past its square-off was held back because the position did not cover it or could not be read",
)
POSITION_UNCLEAR = gauge(
    "exit_orders_position_unclear", "exits whose order the books lack while the position is too small to prove it"
)
PROTECTIVE_STOPS = gauge("exit_protective_stops", "stop orders held, or to be held, at brokers", "status")
PROTECTIVE_STOPS_FAILED = counter(
    "exit_protective_stops_failed", "stop orders that brokers refused, or that never reached them", "reason"
)
ORDER_LIMIT_REACHED = counter(
    "exit_order_limit_reached",
    "exits that ended unfilled after as many orders as their trade and reason may have",
    "reason",
)
ACCOUNT_LOSS = gauge(
    "exit_account_loss", "rupees that an account with a limit has lost by the basis of its limit", "user_broker_id"
)
ACCOUNT_LOSS_LIMIT = gauge("exit_account_loss_limit", "rupees that an account may lose in a day", "user_broker_id")
ACCOUNT_UNPRICED_TRADES = gauge(
    "exit_account_unpriced_trades",
    "open trades of earlier days without a price, while which the limit of an account is not judged",
    "user_broker_id",
)
ACCOUNT_LOSSES_REACHED = counter(
    "exit_account_losses_reached", "times that an account was held because of its loss", "user_broker_id"
)

INSTRUMENTS_AGE_SECONDS = gauge(
    "exit_instruments_age_seconds", "since the instruments of a source were loaded last", "source"
)


@contextmanager
def timed_call(call: str) -> Iterator[None]:
    """Time a call to the broker, including failed ones."""
    with BROKER_CALL_SECONDS.labels(call).time():
        yield
