"""ExitSignal: the decision of market logic to exit a trade."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from shared.contracts.vocabulary import Direction, ExitReason


@dataclass(frozen=True, slots=True)
class ExitSignal:
    """One detected exit. `detected_price` in rupees, None for a manual exit; `leg` None for the whole remainder."""

    signal_id: UUID
    trade_id: UUID
    symbol: str
    direction: Direction
    exit_reason: ExitReason
    episode_id: int
    detected_price: Decimal | None
    detected_at: datetime
    leg: int | None = None
