"""The words of an exit order, and which side takes a trade out of the market."""

from __future__ import annotations

from enum import StrEnum

from shared.contracts.vocabulary import Direction


class OrderSide(StrEnum):
    """What the order does at the broker."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """How the order is priced. Exits are MARKET orders."""

    MARKET = "MARKET"


class BrokerStatus(StrEnum):
    """Whether orders can reach a user's broker."""

    CONNECTED = "CONNECTED"
    DISCONNECTED = "DISCONNECTED"


def reducing_side(direction: Direction) -> OrderSide:
    """The only side that makes a position of this direction smaller."""
    return OrderSide.SELL if direction is Direction.LONG else OrderSide.BUY
