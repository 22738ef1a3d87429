"""Residual: a trade whose exit ended with quantity left and must go on."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from shared.contracts.vocabulary import ExitReason


@dataclass(frozen=True, slots=True)
class Residual:
    """A trade that must go on exiting for a reason; its symbol's last price in rupees, None without one."""

    trade_id: UUID
    reason: ExitReason
    price: Decimal | None
