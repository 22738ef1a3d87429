"""The cost of a tick, in units independent of the machine."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any
from uuid import UUID

import pytest

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.square_off import NEVER
from services.exit_qualification.storage.open_trades import planned_of_row
from services.exit_qualification.ticks.evaluation import Evaluator
from shared.exit_rules.fixed_level import fixed_above, fixed_below
from shared.exit_rules.levels import above, below
from tests.support.trades import closed, opened
from tests.unit.exit_qualification.examples import open_trade
from tests.unit.exit_qualification.ticks.messages import NOW_MS, evaluator, grouped, tick, trade

MOST_INSTRUCTIONS = 230
"""Bytecode instructions of a quiet tick from its record to its verdict; 191 when this was written."""

MOST_OF_A_NEW_HIGH = 850
"""Bytecode instructions of a tick that sets a new high and reaches no level; 779 when this was written."""

MOST_OF_AN_EXIT = 620
"""Bytecode instructions of a fired rule of two, from the price to its disarming after the commit; 585 when this was
written."""

MOST_TO_LOAD = 830
"""Bytecode instructions of a trade with a target and a stop, from its row to its place in the engine; 759 when this was
written."""

MOST_BYTES = 1400
"""Memory of such a trade with levels of its own; 1,250 when this was written."""

MOST_BYTES_ON_A_GRID = 900
"""Memory of such a trade of a market with a hundred prices; 826 when this was written."""

MOST_OF_A_CLOSURE = 750
"""Bytecode instructions of a closure's event from its record to the trade to mark; 689 when this was written. Of
these, 86 read and check a signature: a library did so before, uncounted, and a verification takes as long as then."""

TICKS = 200


def quiet_engine(trades: int) -> ExitSignalService:
    """Trades with targets and stops around the price, no two at the same level."""
    engine = ExitSignalService()
    for number in range(1, trades + 1):
        engine.add_trade(open_trade(number, target=1010_0000 + number, stop_loss=990_0000 - number))
    return engine


def evaluate(evaluates: Evaluator, first: int, ticks: int) -> int:
    """Evaluate ticks without a reached level; return how many were evaluated."""
    seqs = range(first, first + ticks)
    records = grouped([tick(f"{1000 + seq % 5}.{seq % 100:02}", seq=seq, arrived_ms=NOW_MS + seq) for seq in seqs])
    return evaluates.evaluate(records, NOW_MS).evaluated


def instructions(work: Callable[[], object]) -> int:
    """Return how many bytecode instructions of the product some work takes."""
    counted = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal counted
        if "/services/" not in frame.f_code.co_filename and "/shared/" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        counted += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return counted


def cost_of_a_tick(trades: int) -> float:
    """Return the instructions of one more tick in a batch."""
    evaluates = evaluator(quiet_engine(trades))
    evaluate(evaluates, 1, 600)  # every text and symbol is known
    few = instructions(lambda: evaluate(evaluates, 601, 100))
    return (instructions(lambda: evaluate(evaluates, 701, 100 + TICKS)) - few) / TICKS


def test_quiet_tick_takes_few_instructions_regardless_of_trade_count() -> None:
    one, many = cost_of_a_tick(1), cost_of_a_tick(2000)
    assert one == pytest.approx(many)
    assert many <= MOST_INSTRUCTIONS


def cost_of_a_new_high(trades: int) -> float:
    """Return the instructions of one more tick above all before, between the levels of trailing stops and targets."""
    engine = ExitSignalService()
    for number in range(1, trades + 1):
        stop = {"amount": f"{400 + number}.00"}
        engine.add_trade(open_trade(number, target=2000_0000 + number, stop_loss=None, trailing_stop=stop))

    def rise(first: int, ticks: int) -> None:
        for seq in range(first, first + ticks):
            engine.on_tick("NSE:INFY", 1000_0000 + seq, seq, seq, NOW_MS)

    rise(1, 100)  # all stops share one watermark
    few = instructions(lambda: rise(101, 100))
    return (instructions(lambda: rise(201, 100 + TICKS)) - few) / TICKS


def test_new_high_takes_few_instructions_regardless_of_trade_count() -> None:
    one, many = cost_of_a_new_high(1), cost_of_a_new_high(500)
    assert one == pytest.approx(many, rel=0.05)
    assert many <= MOST_OF_A_NEW_HIGH


def cost_of_exits(trades: int) -> int:
    """Return the instructions of one tick at the target of so many trades."""
    engine = ExitSignalService()
    for number in range(1, trades + 1):
        engine.add_trade(open_trade(number, target=1010_0000, stop_loss=990_0000))

    def exit_all() -> None:
        found = engine.on_tick("NSE:INFY", 1010_0000, 1, 1, NOW_MS).candidates
        assert len(found) == trades
        for entry in found:
            engine.disarm(entry.trade.trade_id, entry.candidates[0].exit_reason)

    return instructions(exit_all)


def test_an_exit_takes_few_instructions_regardless_of_their_count() -> None:
    few, some, many = (cost_of_exits(trades) for trades in (50, 100, 200))
    assert (many - some) / 100 == pytest.approx((some - few) / 50, rel=0.02)
    assert (many - some) / 100 <= MOST_OF_AN_EXIT


def test_closure_takes_few_instructions() -> None:
    """Of a trade that another worker evaluates: taking one out of an engine is another matter."""
    evaluates, records = evaluator(quiet_engine(1)), grouped([trade(closed(opened())) for _ in range(400)])
    [(where, of_partition)] = records.items()

    def follow(first: int, last: int) -> None:
        assert len(evaluates.evaluate({where: of_partition[first:last]}, NOW_MS).closed) == last - first

    follow(0, 100)
    few, many = (instructions(partial(follow, 100, last)) for last in (200, 400))
    assert (many - few) / 200 <= MOST_OF_A_CLOSURE


def test_quiet_ticks_leave_nothing_in_memory() -> None:
    evaluates = evaluator(quiet_engine(10))
    evaluate(evaluates, 1, 600)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        assert evaluate(evaluates, 601, 2000) == 2000
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 16 * 1024


def loaded(rows: list[tuple[Any, ...]]) -> ExitSignalService:
    """Return an engine with the trades of these rows."""
    engine = ExitSignalService()
    engine.load(planned_of_row(row, NEVER) for row in rows)
    engine.watch_loaded()
    return engine


def rows(trades: int, prices: int = 10_000) -> list[tuple[Any, ...]]:
    """Return rows of open trades as the loader reads them, with levels at so many prices."""
    return [
        (UUID(int=n), "NSE:INFY", "LONG", 100, "MIS", "paper", 1000_0000, 0, "OPEN",
         f'{{"target": "{1010 + n % prices}.00", "stop_loss": "{990 - n % prices / 10_000:.4f}"}}', 1, 0, None)
        for n in range(1, trades + 1)
    ]  # fmt: skip


def test_loaded_trade_takes_few_instructions_regardless_of_trade_count() -> None:
    loaded(rows(50))
    few, some, many = (instructions(partial(loaded, rows(trades))) for trades in (100, 200, 400))
    assert (many - some) / 200 == pytest.approx((some - few) / 100, rel=0.1)
    assert (many - some) / 200 <= MOST_TO_LOAD


@pytest.mark.parametrize(("prices", "most"), [(10_000, MOST_BYTES), (100, MOST_BYTES_ON_A_GRID)])
def test_a_loaded_trade_takes_little_memory(prices: int, most: int) -> None:
    given = rows(3000, prices)
    for shared in (above, below, fixed_above, fixed_below):
        shared.cache_clear()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        engine = loaded(given)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert engine.trade(UUID(int=3000)) is not None
    assert (after - before) / 3000 < most, (after - before) / 3000
