"""Exit orders of replayed trades, matched as the paper broker matches them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.exit_qualification.domain.candidates import ExitCandidate
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.order_terms import reducing_side
from services.paper_broker.matching import execute
from services.paper_broker.orders import Execution, Order, OrderRequest, placed
from services.replay.tape.recorded import RecordedTick

_ACCOUNT: Final = "replay"


@dataclass(frozen=True, slots=True)
class ExitOrder:
    """MARKET order of an exit, on its way until `order.placed_ms`."""

    candidate: ExitCandidate
    order: Order

    def execution(self, last_price: int | None, now_ms: int) -> Execution | None:
        """Return the fill at a last price in 1/10,000 rupee; None if the order cannot trade at it."""
        return execute(self.order, (), last_price, now_ms)


def exit_order(trade: OpenTrade, candidate: ExitCandidate, quantity: int, number: int, placed_ms: int) -> ExitOrder:
    """Return the order of an exit, at the broker from `placed_ms` on."""
    request = OrderRequest(
        symbol=trade.symbol,
        side=reducing_side(trade.direction).value,
        product=trade.product_type,
        order_type="MARKET",
        validity="DAY",
        quantity=quantity,
        limit_units=None,
        protection_units=0,
        tag=None,
    )
    return ExitOrder(candidate, placed(request, _ACCOUNT, number, placed_ms))


def market_price(candidate: ExitCandidate, tick: RecordedTick | None, before: int | None) -> int | None:
    """Return the price of the market at the moment of an exit.

    It is the last price. On the way from `before` to an extreme or the close of a candle, the market was at each price
    between: an exit triggered at a level trades there.
    """
    price, level = candidate.detected_price, candidate.level
    if tick is None or not tick.between or price is None or level is None or before is None:
        return price
    return level if min(before, price) <= level <= max(before, price) else price
