"""Residual: a trade to exit further after an exit ended with quantity left."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from shared.contracts.vocabulary import ExitReason


@dataclass(frozen=True, slots=True)
class Residual:
    """A trade in need of a further exit for a reason; its symbol's last price in rupees, None without one."""

    trade_id: UUID
    reason: ExitReason
    price: Decimal | None
