"""Positions: quantities bought and sold per symbol and product, and the open quantity. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.paper_broker.orders import rounded_ratio


@dataclass(frozen=True, slots=True)
class Entry:
    """Trade opened elsewhere for this account, with its id. A negative quantity is a short."""

    trade_id: str
    account: str
    symbol: str
    product: str
    signed_quantity: int
    price_units: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Turnover:
    """Quantities and values (Σ quantity · price) of both sides."""

    buy_quantity: int = 0
    buy_value: int = 0
    sell_quantity: int = 0
    sell_value: int = 0

    @property
    def net_quantity(self) -> int:
        """Return bought minus sold quantity; negative is short."""
        return self.buy_quantity - self.sell_quantity

    @property
    def buy_average(self) -> int:
        """Return the average price bought, 0 without purchases."""
        return rounded_ratio(self.buy_value, self.buy_quantity)

    @property
    def sell_average(self) -> int:
        """Return the average price sold, 0 without sales."""
        return rounded_ratio(self.sell_value, self.sell_quantity)

    @property
    def open_average(self) -> int:
        """Return the average price of the open side, 0 when flat."""
        net = self.net_quantity
        return 0 if net == 0 else self.buy_average if net > 0 else self.sell_average

    def pnl(self, last_units: int) -> int:
        """Return the profit so far in units, valuing the open quantity at `last_units`."""
        return self.sell_value - self.buy_value + self.net_quantity * last_units

    def negated(self) -> Turnover:
        """Return the opposite turnover."""
        return Turnover(-self.buy_quantity, -self.buy_value, -self.sell_quantity, -self.sell_value)

    def __add__(self, other: Turnover) -> Turnover:
        return Turnover(
            self.buy_quantity + other.buy_quantity,
            self.buy_value + other.buy_value,
            self.sell_quantity + other.sell_quantity,
            self.sell_value + other.sell_value,
        )


def turnover_of(signed_quantity: int, price_units: int) -> Turnover:
    """Return one booking: bought if the quantity is positive, sold if it is negative."""
    if signed_quantity >= 0:
        return Turnover(buy_quantity=signed_quantity, buy_value=signed_quantity * price_units)
    return Turnover(sell_quantity=-signed_quantity, sell_value=-signed_quantity * price_units)


@dataclass(frozen=True, slots=True)
class Position:
    """Symbol and product at an account: quantities from earlier days and the day's turnover."""

    symbol: str
    product: str
    overnight: Turnover
    today: Turnover
    last_units: int | None

    @property
    def net(self) -> Turnover:
        """Return the turnover of all days together."""
        return self.overnight + self.today

    def day_only(self) -> Position:
        """Return the position without earlier days: delivery shares of those are holdings."""
        return replace(self, overnight=Turnover())
