"""Repository of charge rates."""

from __future__ import annotations

from sqlalchemy import Connection, select

from services.trade_management.domain.charges import Charge, ChargeSchedule, Rate, Rounding, Side
from services.trade_management.models import ChargeScheduleRow
from shared.contracts.vocabulary import ProductType


class ChargeScheduleRepository:
    """Rates as one transaction sees them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> ChargeSchedule:
        """Return every row."""
        rows = self._connection.execute(select(*ChargeScheduleRow.__table__.columns)).mappings()
        words = {"product_type": ProductType, "charge": Charge, "side": Side, "rounding": Rounding}
        return ChargeSchedule(
            tuple(Rate(**{**row, **{name: word(row[name]) for name, word in words.items()}}) for row in rows)
        )
