"""A tick beyond the circuit limits of its day is counted, and moves nothing."""

from __future__ import annotations

from uuid import UUID

import pytest

from services.exit_qualification.domain.circuit_limits import CircuitLimits
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from tests.support.trades import opened
from tests.unit.exit_qualification.ticks.messages import INFY, evaluated, tick, trade

DAY = 20_466
"""2026-01-13 in Asia/Kolkata."""
LIMITS = CircuitLimits(DAY, 900_0000, 1100_0000)


@pytest.mark.parametrize("price", ["1100.05", "10000", "899.95", "0.05"])
def test_a_tick_beyond_the_limits_moves_nothing(price: str) -> None:
    """A wrong price far above would raise a trailing stop's watermark, and the next right one would exit."""
    engine = ExitSignalService()
    assert engine.books.limit({INFY: LIMITS}) == [INFY]
    event = opened(plan={"trailing_stop": {"amount": "20"}, "stop_loss": "950"})
    evaluated(engine, trade(event), tick("1000", seq=1))
    before = engine.books.state(INFY)
    result = evaluated(engine, tick(price, seq=2, offset_=1))
    assert (result.evaluated, result.stale, result.detected) == (0, 0, [])
    assert engine.books.state(INFY) == before
    assert evaluated(engine, tick("1001", seq=2, offset_=2)).detected == []


def test_a_symbol_without_a_trade_waits_for_no_limits() -> None:
    engine = ExitSignalService()
    engine.books.limit({INFY: LIMITS})
    assert evaluated(engine, tick("10000")).outside == [INFY]


@pytest.mark.parametrize("price", ["1100", "900"])
def test_the_limits_themselves_trade(price: str) -> None:
    engine = ExitSignalService()
    engine.books.limit({INFY: LIMITS})
    assert evaluated(engine, tick(price)).outside == []


@pytest.mark.parametrize("day", [DAY - 1, DAY + 1])
def test_limits_of_another_day_say_nothing(day: int) -> None:
    engine = ExitSignalService()
    engine.books.limit({INFY: LIMITS._replace(day=day)})
    assert evaluated(engine, tick("2000")).outside == []


def test_a_symbol_has_trades_until_the_last_is_removed() -> None:
    engine = ExitSignalService()
    assert not engine.books.has_trades(INFY)
    event = opened()
    evaluated(engine, trade(event), tick())
    assert engine.books.has_trades(INFY)
    engine.remove_trade(UUID(str(event.trade_id)))
    assert not engine.books.has_trades(INFY)
