"""Latency model: time between the acceptance of an order and its first fill. Pure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

_STEPS = 1001


@dataclass(frozen=True, slots=True)
class Latency:
    """Times spread evenly from half to one and a half times `typical_ms`; an order's number decides its own."""

    typical_ms: int

    def of(self, order_number: int) -> int:
        """Return the milliseconds that an order takes to the exchange."""
        share = zlib.crc32(str(order_number).encode()) % _STEPS / (_STEPS - 1)
        return round(self.typical_ms * (0.5 + share))


NO_LATENCY = Latency(0)
