"""Values made for each closure: cheap to make, and immutable."""

from __future__ import annotations

import pytest
from msgspec import Struct

from services.trade_management.domain.closure import Booking, Closure, TradeHistory
from services.trade_management.domain.fill_report import FillReport
from services.trade_management.domain.fills import Fill
from services.trade_management.domain.trade import StoredTrade, Trade
from shared.outbox.after_commit import Emitted


@pytest.mark.parametrize("value", [Trade, StoredTrade, Fill, FillReport, Closure, TradeHistory, Booking, Emitted])
def test_a_value_of_a_closure_is_a_frozen_struct(value: type[Struct]) -> None:
    assert issubclass(value, Struct)
    assert value.__struct_config__.frozen
