"""Facts about a symbol's market, read once for a batch of exits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from shared.contracts.vocabulary import MarketPhase


@dataclass(frozen=True, slots=True)
class InstrumentTerms:
    """Terms of the exchange for one symbol; None where they are not known. Prices in rupees."""

    tick_size: Decimal | None = None
    lot_size: int | None = None
    freeze_quantity: int | None = None


NO_TERMS: Final = InstrumentTerms()


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """Facts about one symbol; None where the fact is not known.

    Attributes
    ----------
    phase:
        Of the symbol's exchange now; None without a calendar.
    """

    phase: MarketPhase | None = None
    instrument: InstrumentTerms = NO_TERMS


NO_FACTS: Final = MarketFacts()

MarketFactsBySymbol = Mapping[str, MarketFacts]
