"""Exchanges by their kind of instrument."""

from __future__ import annotations

from typing import Final

DELIVERY_EXCHANGES: Final = frozenset({"NSE", "BSE"})
DERIVATIVE_EXCHANGES: Final = frozenset({"NFO", "BFO", "CDS", "BCD", "MCX", "NCO"})
"""Exchanges without delivery; for an exchange in neither set the product is not judged."""
