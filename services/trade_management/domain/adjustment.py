"""Adjustment of an open trade to a corporate action. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Self

from services.trade_management.domain.trade import Trade
from shared.errors import InvalidInput
from shared.exit_rules.scale import Scale
from shared.money import money_text

DEFAULT_TICK_SIZE: Final = Decimal("0.01")
"""Rupees; levels of a symbol without a loaded instrument are multiples of it."""


@dataclass(frozen=True, slots=True)
class TradeTerms:
    """Changes of a trade by a corporate action. The entry price is the price of the open quantity."""

    symbol: str
    quantity: int
    open_quantity: int
    entry_price: Decimal
    exit_plan: dict[str, Any]

    def json(self) -> dict[str, Any]:
        """Return the terms as JSON-safe values."""
        return {
            "symbol": self.symbol,
            "quantity": self.quantity,
            "open_quantity": self.open_quantity,
            "entry_price": money_text(self.entry_price),
            "exit_plan": self.exit_plan,
        }

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Self:
        """Return the terms written by `json`."""
        return cls(**values | {"entry_price": Decimal(values["entry_price"])})


def scaled_position(trade: Trade, scale: Scale) -> tuple[int, int, Decimal]:
    """Return quantity, open quantity and entry price after a change of shares.

    The closed quantity stays as filled, so the quantity is the closed one and the new open one. A fraction of a
    share is not counted: it is paid in cash.

    Raises
    ------
    InvalidInput
        No whole share would be left, or the entry price would be zero.
    """
    open_quantity, entry_price = scale.quantity(trade.open_quantity), scale.price(trade.entry_price)
    if not open_quantity or not entry_price:
        before = f"{trade.open_quantity} shares at {money_text(trade.entry_price)}"
        raise InvalidInput(f"{before} would become no whole share, or shares at a price of 0")
    return trade.quantity - trade.open_quantity + open_quantity, open_quantity, entry_price
