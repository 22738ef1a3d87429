"""Repository of charge rates."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from services.trade_management.domain.charges import ChargeSchedule, Market, Rate, Rounding, Segment, Side
from services.trade_management.models import ChargeScheduleRow
from shared.contracts.vocabulary import Charge, ProductType
from shared.postgres.hot_path import fetch

_COLUMNS = tuple(ChargeScheduleRow.__table__.columns)
ALL = select(*_COLUMNS)


class ChargeScheduleRepository:
    """Rates as one transaction sees them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> ChargeSchedule:
        """Return every row."""
        names = [column.name for column in _COLUMNS]
        rows = fetch(self._connection, ALL, {})
        return ChargeSchedule(tuple(_rate(dict(zip(names, row, strict=True))) for row in rows))


_WORDS = {"product_type": ProductType, "charge": Charge, "side": Side, "rounding": Rounding}


def _rate(row: dict[str, Any]) -> Rate:
    market = Market(row.pop("exchange"), Segment(row.pop("segment")))
    return Rate(market=market, **(row | {name: word(row[name]) for name, word in _WORDS.items()}))
