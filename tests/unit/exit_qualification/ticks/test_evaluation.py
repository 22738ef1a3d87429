from __future__ import annotations

from uuid import UUID

from confluent_kafka import Message

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.symbol_book import SymbolState
from services.exit_qualification.ticks.batch import BatchResult
from services.exit_qualification.ticks.evaluation import in_rounds
from shared.contracts.vocabulary import ExitReason
from tests.support.trades import opened
from tests.unit.exit_qualification.examples import open_trade
from tests.unit.exit_qualification.ticks.messages import HOME, INFY, NOW_MS, evaluated, tick, trade

ONE = UUID(int=1)


def _engine() -> ExitSignalService:
    engine = ExitSignalService()
    engine.add_trade(open_trade())
    return engine


def _tick(price: int, seq: int, later_ms: int = 0, ts: str = "2026-01-13T03:44:50Z") -> Message:
    return tick(f"{price}.00", seq=seq, ts=ts, arrived_ms=NOW_MS + later_ms)


def placed(result: BatchResult) -> list[tuple[UUID, int, int]]:
    """The trades to project, each with its partition and the number of ticks before it."""
    return [(each.event.trade_id, each.partition, each.entered_tick) for each in result.opened]


def _reasons(result: BatchResult) -> list[list[ExitReason]]:
    return [[each.exit_reason for each in entry.candidates] for entry in result.detected]


def test_ticks_are_counted_as_evaluated_or_stale() -> None:
    engine = _engine()
    result = evaluated(engine, _tick(1000, 2), _tick(1010, 1), _tick(1001, 3), _tick(1002, 4), _tick(1003, 5))
    assert (result.evaluated, result.stale, result.detected) == (4, 1, [])
    assert engine.books.unsaved(engine.books.symbols()) == [INFY]


def test_detected_exits_follow_the_order_of_their_ticks() -> None:
    for prices, reasons in [
        ([1010, 990], [ExitReason.TARGET, ExitReason.STOP_LOSS]),
        ([990, 1010], [ExitReason.STOP_LOSS, ExitReason.TARGET]),
    ]:
        result = evaluated(_engine(), *(_tick(price, seq, seq) for seq, price in enumerate(prices, 1)))
        assert _reasons(result) == [[reason] for reason in reasons]
        assert [len(entries) for entries in in_rounds(result.detected)] == [1, 1]
        assert [entry.candidates[0].detected_price for entry in result.detected] == [p * 10_000 for p in prices]
        assert (result.arrived_ms, result.urgent_symbols) == ({ONE: NOW_MS + 1}, {INFY})


def test_new_and_stuck_clocks_are_reported_once_per_symbol() -> None:
    engine = _engine()
    evaluated(engine, _tick(1000, 10, 0))
    early = "2026-01-13T03:44:40Z"
    stuck = evaluated(engine, *(_tick(999, 5, at, early) for at in (1, 1999, 2001, 3000)))
    assert (stuck.stale, stuck.stuck, stuck.new_clocks) == (4, [INFY], [])
    back = evaluated(engine, *(_tick(985, seq, at, early) for seq, at in ((11, 4_000), (12, 6_000))))
    assert (back.stale, back.new_clocks, back.evaluated) == (1, [INFY], 1)
    assert _reasons(back) == [[ExitReason.STOP_LOSS]]


def test_a_trade_is_evaluated_from_its_position_in_the_batch() -> None:
    event = opened()
    result = evaluated(ExitSignalService(), _tick(1010, 1, 1), trade(event, arrived_ms=NOW_MS + 2), _tick(1011, 2, 3))
    [entry] = result.detected
    assert entry.candidates[0].detected_price == 1011_0000
    assert placed(result) == [(event.trade_id, HOME, 1)]


def test_an_eligible_reason_met_by_the_last_price_is_due() -> None:
    engine = _engine()
    evaluated(engine, _tick(1010, 1))
    [entry] = engine.rearm([RuleKey(ONE, ExitReason.TARGET)])
    assert [each.exit_reason for each in entry.candidates] == [ExitReason.TARGET]


def test_a_symbol_is_unsaved_until_its_last_tick_is() -> None:
    engine = _engine()
    assert engine.books.unsaved(engine.books.symbols()) == []
    evaluated(engine, _tick(1000, 4))
    before = _state(engine)
    evaluated(engine, _tick(1001, 5))
    assert engine.books.unsaved(engine.books.symbols()) == [INFY]
    engine.books.note_saved(INFY, before)
    assert engine.books.unsaved(engine.books.symbols()) == [INFY]
    engine.books.note_saved(INFY, _state(engine))
    assert engine.books.unsaved(engine.books.symbols()) == []


def test_a_symbol_is_unsaved_until_its_stale_ticks_are() -> None:
    engine = _engine()
    evaluated(engine, _tick(1000, 4))
    engine.books.note_saved(INFY, _state(engine))
    evaluated(engine, _tick(1001, 3))
    assert engine.books.unsaved(engine.books.symbols()) == [INFY]
    engine.books.note_saved(INFY, _state(engine))
    assert engine.books.unsaved(engine.books.symbols()) == []


def _state(engine: ExitSignalService) -> SymbolState:
    state = engine.books.state(INFY)
    assert state is not None
    return state


def test_a_trade_homed_elsewhere_is_projected_and_not_evaluated() -> None:
    event = opened()
    elsewhere = HOME + 1
    result = evaluated(ExitSignalService(), trade(event, partition_=elsewhere), held=[elsewhere])
    assert (placed(result), result.homes, result.detected) == ([(event.trade_id, HOME, 0)], {HOME}, [])
