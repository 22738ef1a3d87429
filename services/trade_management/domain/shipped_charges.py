"""The charge schedule that migrations ship, for calculations without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

from services.trade_management.domain.charges import Charge, ChargeSchedule, Rate, Rounding, Side
from shared.contracts.vocabulary import ProductType

MIS, CNC = ProductType.MIS, ProductType.CNC
SHIPPED_FROM: Final = date(2024, 10, 1)
"""First day of the shipped rates."""


def _rate(product: ProductType, charge: Charge, side: Side, rate: str, maximum: str | None = None) -> Rate:
    rounding = Rounding.RUPEE if charge is Charge.STT else Rounding.PAISA
    most = None if maximum is None else Decimal(maximum)
    return Rate(product, charge, side, Decimal(rate), Decimal(0), most, rounding, True, SHIPPED_FROM)


SHIPPED: Final = ChargeSchedule(
    (
        _rate(MIS, Charge.BROKERAGE, Side.BOTH, "0.0003", "20"),
        _rate(MIS, Charge.STT, Side.SELL, "0.00025"),
        _rate(MIS, Charge.EXCHANGE, Side.BOTH, "0.0000307"),
        _rate(MIS, Charge.SEBI, Side.BOTH, "0.000001"),
        _rate(MIS, Charge.STAMP, Side.BUY, "0.00003"),
        _rate(MIS, Charge.GST, Side.BOTH, "0.18"),
        _rate(CNC, Charge.BROKERAGE, Side.BOTH, "0"),
        _rate(CNC, Charge.STT, Side.BOTH, "0.001"),
        _rate(CNC, Charge.EXCHANGE, Side.BOTH, "0.0000307"),
        _rate(CNC, Charge.SEBI, Side.BOTH, "0.000001"),
        _rate(CNC, Charge.STAMP, Side.BUY, "0.00015"),
        _rate(CNC, Charge.GST, Side.BOTH, "0.18"),
        replace(_rate(CNC, Charge.DEPOSITORY, Side.SELL, "0"), flat=Decimal("15.34"), enabled=False),
    )
)
"""NSE equity."""


def also_before(schedule: ChargeSchedule) -> ChargeSchedule:
    """Return a schedule whose oldest rates apply to all earlier days too, as an estimate."""
    first = min(rate.effective_from for rate in schedule.rates)
    return ChargeSchedule(
        tuple(
            replace(rate, effective_from=date.min) if rate.effective_from == first else rate for rate in schedule.rates
        )
    )
