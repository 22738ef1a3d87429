"""Facts about a symbol's market, read once for a batch of exits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
class Quote:
    """Quote of a broker; None where it names nothing. Prices in rupees."""

    symbol: str
    last_price: Decimal
    lower_limit: Decimal | None = None
    upper_limit: Decimal | None = None
    buy_quantity: int | None = None
    sell_quantity: int | None = None


@dataclass(frozen=True, slots=True)
class PriceFacts:
    """Newest price of a symbol by tick or quote, and today's circuit limits; None where not known. In rupees.

    Attributes
    ----------
    age_ms:
        Since the tick arrived or the quote was asked for; None at detection, by the detecting tick itself.
    buy_quantity, sell_quantity:
        Waiting orders by a quote of the last seconds.
    """

    age_ms: int | None = None
    last: Decimal | None = None
    lower_limit: Decimal | None = None
    upper_limit: Decimal | None = None
    buy_quantity: int | None = None
    sell_quantity: int | None = None

    def json(self) -> dict[str, object]:
        """Return the known price and limits as JSON-safe facts."""
        known = {"last_price": self.last, "lower_limit": self.lower_limit, "upper_limit": self.upper_limit}
        return {name: str(value) for name, value in known.items() if value is not None}


NO_PRICE: Final = PriceFacts()
FRESH_MS: Final = 3000
"""No exit is sent by an older price, where no calendar says otherwise."""


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """Facts about one symbol; None where the fact is not known.

    Attributes
    ----------
    phase:
        Of the symbol's exchange now; None without a calendar.
    tick_fresh_ms:
        No exit is sent by an older price.
    """

    phase: MarketPhase | None = None
    instrument: InstrumentTerms = NO_TERMS
    price: PriceFacts = NO_PRICE
    tick_fresh_ms: int = FRESH_MS

    def at_detection(self, detected_price: Decimal | None) -> MarketFacts:
        """Return the facts with the price of the tick behind an exit; its age is judged before sending."""
        return replace(self, price=replace(self.price, age_ms=None, last=detected_price or self.price.last))


NO_FACTS: Final = MarketFacts()

MarketFactsBySymbol = Mapping[str, MarketFacts]
