from __future__ import annotations

from uuid import UUID

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.storage.open_trades import OpenedTrade
from services.exit_qualification.ticks.evaluation import Findings, in_rounds, judge, rearm, symbol_checkpoints
from services.exit_qualification.ticks.records import TickRecord
from shared.contracts.vocabulary import ExitReason
from tests.support.trades import opened
from tests.unit.exit_qualification.examples import open_trade

INFY = "NSE:INFY"
ONE = UUID(int=1)

HELD = {3}


def _engine() -> ExitSignalService:
    engine = ExitSignalService()
    engine.add_trade(open_trade())
    return engine


def _tick(price: int, seq: int, arrived_ms: int = 0) -> TickRecord:
    return TickRecord(INFY, price * 10_000, 1_000_000, seq, arrived_ms)


def _reasons(findings: Findings) -> list[list[ExitReason]]:
    return [[each.exit_reason for each in entry.candidates] for entry in findings.detected]


def test_ticks_are_counted_as_judged_or_stale() -> None:
    findings = judge(_engine(), [_tick(1000, 2), _tick(1010, 1), _tick(1001, 3)], HELD)
    assert (findings.evaluated, findings.stale, findings.detected) == (2, 1, [])
    assert findings.symbols == {INFY}


def test_detected_exits_follow_the_order_of_their_ticks() -> None:
    for prices, reasons in [
        ([1010, 990], [ExitReason.TARGET, ExitReason.STOP_LOSS]),
        ([990, 1010], [ExitReason.STOP_LOSS, ExitReason.TARGET]),
    ]:
        findings = judge(_engine(), [_tick(price, seq, seq) for seq, price in enumerate(prices, 1)], HELD)
        assert _reasons(findings) == [[reason] for reason in reasons]
        assert [len(entries) for entries in in_rounds(findings.detected)] == [1, 1]
        assert [entry.candidates[0].detected_price for entry in findings.detected] == [p * 10_000 for p in prices]
        assert findings.arrived_ms == {ONE: 1}


def test_new_and_stuck_clocks_are_reported_once_per_symbol() -> None:
    engine = _engine()
    judge(engine, [TickRecord(INFY, 1000_0000, 60_000_000, 10, 60_000)], HELD)
    stuck = judge(
        engine, [TickRecord(INFY, 999_0000, 50_000_000, 5, 60_000 + at) for at in (1, 1999, 2001, 3000)], HELD
    )
    assert (stuck.stale, stuck.stuck, stuck.new_clocks) == (4, [INFY], [])
    later = [TickRecord(INFY, 985_0000, 50_000_000, seq, at) for seq, at in ((11, 64_000), (12, 66_000))]
    back = judge(engine, later, HELD)
    assert (back.stale, back.new_clocks, back.evaluated) == (1, [INFY], 1)
    assert _reasons(back) == [[ExitReason.STOP_LOSS]]


def test_a_trade_is_evaluated_from_its_position_in_the_batch() -> None:
    engine = ExitSignalService()
    event = opened()
    findings = judge(engine, [_tick(1010, 1), (event, 3), _tick(1011, 2)], HELD)
    [entry] = findings.detected
    assert entry.candidates[0].detected_price == 1011_0000
    assert findings.opened == [OpenedTrade(event, 3, entered_tick=1)]


def test_an_eligible_reason_met_by_the_last_price_is_due() -> None:
    engine = _engine()
    judge(engine, [_tick(1010, 1)], HELD)
    [entry] = rearm(engine, [(ONE, ExitReason.TARGET)])
    assert [each.exit_reason for each in entry.candidates] == [ExitReason.TARGET]


def test_only_symbols_that_ticked_have_a_checkpoint() -> None:
    engine = _engine()
    judge(engine, [_tick(1000, 4)], HELD)
    [checkpoint] = symbol_checkpoints(engine, [INFY, "NSE:TCS"], 4)
    assert (checkpoint.symbol, checkpoint.state.last_price, checkpoint.state.last_seq) == (INFY, 1000_0000, 4)


def test_a_trade_homed_elsewhere_is_projected_and_not_evaluated() -> None:
    engine = ExitSignalService()
    event = opened()
    findings = judge(engine, [(event, 4), _tick(1010, 1)], HELD)
    assert (findings.opened, findings.homes, findings.detected) == ([OpenedTrade(event, 4, entered_tick=0)], {4}, [])
