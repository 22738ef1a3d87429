"""What a tick costs, in units that do not depend on the machine."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.ticks.evaluation import Evaluator
from tests.unit.exit_qualification.examples import open_trade
from tests.unit.exit_qualification.ticks.messages import NOW_MS, evaluator, grouped, tick

MOST_INSTRUCTIONS = 230
"""Bytecode instructions of a quiet tick from its record to its verdict; 191 when this was written."""

TICKS = 200


def quiet_engine(trades: int) -> ExitSignalService:
    """Trades whose targets and stops lie around the price, no two at the same level."""
    engine = ExitSignalService()
    for number in range(1, trades + 1):
        engine.add_trade(open_trade(number, target=1010_0000 + number, stop_loss=990_0000 - number))
    return engine


def evaluate(evaluates: Evaluator, first: int, ticks: int) -> int:
    """Evaluate ticks that reach no level; return how many were evaluated."""
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


def test_a_quiet_tick_takes_few_instructions_for_any_number_of_trades() -> None:
    one, many = cost_of_a_tick(1), cost_of_a_tick(2000)
    assert one == pytest.approx(many)
    assert many <= MOST_INSTRUCTIONS


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
