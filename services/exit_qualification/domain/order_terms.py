"""Vocabulary of an exit order, and the side for closing a position."""

from __future__ import annotations

from enum import StrEnum

from shared.contracts.vocabulary import Direction


class OrderSide(StrEnum):
    """Side of the order at the broker."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """Pricing of the order. Exits are MARKET orders."""

    MARKET = "MARKET"


class BrokerStatus(StrEnum):
    """Connection state of a user's broker."""

    CONNECTED = "CONNECTED"
    DISCONNECTED = "DISCONNECTED"


def reducing_side(direction: Direction) -> OrderSide:
    """Return the side for reducing a position of this direction."""
    return OrderSide.SELL if direction is Direction.LONG else OrderSide.BUY
