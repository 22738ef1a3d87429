"""The shipped charges, for calculations without a database."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

from services.trade_management.domain.charges import Side
from services.trade_management.domain.shipped_charges import SHIPPED, SHIPPED_FROM, also_before
from shared.contracts.vocabulary import ProductType

MIGRATION = Path(__file__).resolve().parents[3] / "alembic" / "trade_management" / "V001_base.py"
ROW = re.compile(r"\('(\w+)', '(\w+)', '(\w+)', ([\d.]+), ([\d.]+), (NULL|[\d.]+), '(\w+)', (true|false), '([\d-]+)'\)")


def test_they_are_the_rows_that_the_migration_inserts() -> None:
    rows = {
        (product, charge, side, Decimal(rate), Decimal(flat), most, rounding, enabled == "true", day)
        for product, charge, side, rate, flat, most, rounding, enabled, day in ROW.findall(MIGRATION.read_text())
    }
    ours = {
        (
            str(each.product_type),
            str(each.charge),
            str(each.side),
            each.rate,
            each.flat,
            "NULL" if each.maximum is None else str(each.maximum),
            str(each.rounding),
            each.enabled,
            each.effective_from.isoformat(),
        )
        for each in SHIPPED.rates
    }
    assert len(rows) == 13
    assert ours == rows


def test_days_before_the_first_rates_are_charged_as_their_first() -> None:
    value = Decimal(100_000)
    before = also_before(SHIPPED).order_lines(ProductType.MIS, date(2015, 1, 1), Side.SELL, value)
    assert before == SHIPPED.order_lines(ProductType.MIS, SHIPPED_FROM, Side.SELL, value)
