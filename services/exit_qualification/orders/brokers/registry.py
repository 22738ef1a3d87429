"""Broker: the brokers for executing exits, and the trading day of each one's books."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, assert_never

from services.exit_qualification.domain.book_day import BookDay
from services.exit_qualification.orders.brokers.kite.day import KITE_DAY


class Broker(StrEnum):
    """The possible values of `user_brokers.broker`."""

    KITE = "kite"


def book_day_of(broker: Broker) -> BookDay:
    """Return the trading day of a broker's books; mypy refuses a broker without one."""
    match broker:
        case Broker.KITE:
            return KITE_DAY
        case _:
            assert_never(broker)


BOOK_DAYS: Final[Mapping[str, BookDay]] = MappingProxyType({broker.value: book_day_of(broker) for broker in Broker})
