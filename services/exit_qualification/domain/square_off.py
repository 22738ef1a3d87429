"""Times of the daily square-off per product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from shared.contracts.vocabulary import ProductType

_ZONE: Final = ZoneInfo("Asia/Kolkata")


@dataclass(frozen=True, slots=True)
class SquareOff:
    """Square-off time of each product, Asia/Kolkata; a product without one is never squared off."""

    times: Mapping[ProductType, time] = field(default_factory=dict)

    def after_entry_ms(self, product_type: ProductType, entered_at_ms: int) -> int | None:
        """Return the first square-off after an entry, both in milliseconds since 1970; None if there is none."""
        at = self.times.get(product_type)
        if at is None:
            return None
        entered_at = datetime.fromtimestamp(entered_at_ms // 1000, _ZONE)
        square_off = datetime.combine(entered_at.date(), at, _ZONE)
        if square_off <= entered_at:
            square_off += timedelta(days=1)
        return int(square_off.timestamp()) * 1000


NEVER: Final = SquareOff()
