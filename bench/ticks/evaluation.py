"""Evaluation alone: the engine in memory, and a loop over all trades of the tick's symbol."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.ticks.market import ENTRY, SYMBOLS, Mood, Step, plan_of, symbol_name, trade_id
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.open_trade import OpenTrade
from shared.contracts.vocabulary import Direction, ProductType
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.registry import start_rules
from shared.exit_rules.rule import Position, RuleState

NAIVE_LOOKS = 2_000_000
"""Most looks at rules by the naive loop; it is measured over fewer ticks for more trades."""
ARRIVED_MS = 1_800_000_000_000


@dataclass(frozen=True)
class Evaluation:
    """CPU microseconds per tick; of each trade, the building of its rules and its place in the engine."""

    trades: int
    engine_us: float
    naive_us: float
    load_us: float


def measure_evaluation(trades: int, mood: Mood, ticks: Sequence[Step]) -> Evaluation:
    """Run both over the same ticks and trades."""
    gc.collect()
    gc.disable()
    began = time.process_time()
    engine = ExitSignalService()
    books = [_trade(number, mood) for number in range(trades)]
    for trade in books:
        engine.add_trade(trade)
    load_us = (time.process_time() - began) / trades * 1e6
    gc.enable()
    gc.freeze()
    named = [(symbol_name(each.symbol), each.price, each.ts_us, each.seq, ARRIVED_MS) for each in ticks]
    began = time.process_time()
    on_tick = engine.on_tick
    for tick in named:
        on_tick(*tick)
    engine_us = (time.process_time() - began) / len(named) * 1e6
    naive_us = _naive_us(books, ticks)
    gc.unfreeze()
    return Evaluation(trades, engine_us, naive_us, load_us)


def _naive_us(trades: Sequence[OpenTrade], ticks: Sequence[Step]) -> float:
    rules: list[list[list[RuleState]]] = [[] for _ in range(SYMBOLS)]
    for number, trade in enumerate(trades):
        rules[number % SYMBOLS].append(list(trade.rules.values()))
    count = max(100, min(len(ticks), NAIVE_LOOKS * SYMBOLS // max(1, 2 * len(trades))))
    began = time.process_time()
    for tick in ticks[:count]:
        for states in rules[tick.symbol]:
            for place, state in enumerate(states):
                moved = state.moved(tick.price, opening=False)
                if moved.trails is not None:
                    moved = moved.marked(max(moved.watermark, tick.price))
                states[place] = moved
                moved.holds(tick.price)
    return (time.process_time() - began) / count * 1e6


def _trade(number: int, mood: Mood) -> OpenTrade:
    plan = ExitPlan.model_validate(plan_of(number, mood))
    return OpenTrade(
        trade_id=trade_id(number),
        symbol=symbol_name(number % SYMBOLS),
        direction=Direction.LONG,
        quantity=100,
        product_type=ProductType.MIS,
        user_broker_id="paper",
        entry_price=ENTRY,
        entered_at_ms=0,
        rules=start_rules(plan, Position(Direction.LONG, ENTRY, 0)),
        entered_tick=0,
    )
