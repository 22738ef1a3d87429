"""Circuit limits known for a replay, by symbol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from services.exit_qualification.domain.circuit_limits import CircuitLimits, circuit_limits

KnownLimits = Mapping[str, CircuitLimits]

NONE_KNOWN: Final[KnownLimits] = MappingProxyType({})


def known_limits(quotes: Iterable[tuple[str, int, Decimal | None, Decimal | None]]) -> KnownLimits:
    """Return the limits in quotes: symbol, day since 1970, lower and upper limit in rupees."""
    return {symbol: circuit_limits(day, lower, upper) for symbol, day, lower, upper in quotes}
