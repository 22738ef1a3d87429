"""Funds of an account: its cash, its results and the margin in use, by positions and working orders. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.paper_broker.margins import leverage_of
from services.paper_broker.orders import Order, OrderRequest, Side
from services.paper_broker.positions import Position
from shared.money import from_units


@dataclass(frozen=True, slots=True)
class Funds:
    """Amounts in units.

    Attributes
    ----------
    cash:
        At the beginning.
    realised:
        Profit of closed quantities.
    used:
        Margin of open positions, and of working orders for more than closes them.
    """

    cash: int
    realised: int = 0
    used: int = 0

    @property
    def available(self) -> int:
        """Return the rest for new orders; negative if trades entered elsewhere need more."""
        return self.cash + self.realised - self.used


@dataclass(frozen=True, slots=True)
class Wanted:
    """Quantity to buy or sell in a product, at about this price in units; 0 if the symbol never traded."""

    symbol: str
    product: str
    side: Side
    quantity: int
    price_units: int

    @property
    def margin(self) -> int:
        """Return the margin of the whole quantity, in units: of a bought option its premium."""
        return self.quantity * self.price_units // leverage_of(self.symbol, self.side, self.product)


def wanted_of(order: Order | OrderRequest, last_units: int | None, quantity: int) -> Wanted:
    """Return so many shares of an order."""
    price = order.limit_units or order.trigger_units or last_units or 0
    return Wanted(order.symbol, order.product, order.side, quantity, price)


def opening(wanted: Wanted, net: int, working: int) -> Wanted:
    """Return the part opening or enlarging a position of `net`, beside `working` on the same side."""
    closing = max(0, (-net if wanted.side == "BUY" else net) - working)
    return Wanted(wanted.symbol, wanted.product, wanted.side, max(0, wanted.quantity - closing), wanted.price_units)


def funds_of(cash: int, positions: Iterable[Position], working: Iterable[Order], last: Mapping[str, int]) -> Funds:
    """Return the funds with these positions and working orders, and last prices in units."""
    nets: dict[tuple[str, str], int] = {}
    realised = used = 0
    for position in positions:
        net, average = position.net.net_quantity, position.net.open_average
        nets[position.symbol, position.product] = net
        realised += position.net.pnl(average)
        used += Wanted(position.symbol, position.product, "BUY" if net > 0 else "SELL", abs(net), average).margin
    earlier: defaultdict[tuple[str, str, Side], int] = defaultdict(int)
    for order in working:
        wanted = wanted_of(order, last.get(order.symbol), order.unfilled)
        key = order.symbol, order.product, order.side
        used += opening(wanted, nets.get(key[:2], 0), earlier[key]).margin
        earlier[key] += order.unfilled
    return Funds(cash, realised, used)


def shortage(required: int, available: int) -> str:
    """Return Kite's message about an order without sufficient funds, both amounts in units."""
    return (
        f"Insufficient funds. Required margin is {from_units(required):.2f} but available margin is "
        f"{from_units(available):.2f}. Check the orderbook for open orders."
    )
