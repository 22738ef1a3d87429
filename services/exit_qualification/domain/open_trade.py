"""OpenTrade: what the engine must know of a trade to judge it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from shared.contracts.vocabulary import Direction, ProductType


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTrade:
    """A trade that may exit. Prices in units of 1/10,000 rupee; None where the plan has no such rule.

    `entered_at_ms` is in milliseconds since 1970.
    """

    trade_id: UUID
    symbol: str
    direction: Direction
    quantity: int
    product_type: ProductType
    user_broker_id: str
    entry_price: int
    entered_at_ms: int
    target: int | None = None
    stop_loss: int | None = None
