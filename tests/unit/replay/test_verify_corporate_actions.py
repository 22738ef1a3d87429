"""Trades changed by corporate actions: the verification decides as the worker did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.replay.book import BookedTrade, booked_trades
from services.replay.player import play
from services.replay.stored import StoredSignal, in_order, stored_signal
from services.replay.tape.recorded import RecordedTick
from services.replay.verify import Verified, Verifier
from services.trade_management.trade_events import opened
from shared.clock import rfc3339
from shared.contracts.exits import ExitSignalPublished
from shared.contracts.trades import TradeAdjusted, TradeEvent
from shared.contracts.vocabulary import CorporateActionKind, Direction
from shared.errors import InvalidInput
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.scale import PlanScale, Scale
from shared.instants import EPOCH, epoch_ms
from shared.kafka.clients import home_partition
from tests.unit.exit_qualification.ticks import messages
from tests.unit.exit_qualification.ticks.messages import LAYOUT, evaluator, grouped
from tests.unit.replay.examples import INFY, OPENING, TCS, booked, tick

PLANS: dict[str, dict[str, Any]] = {
    "levels": {"target": "1010", "stop_loss": "990"},
    "trailing": {"trailing_stop": {"amount": "8"}},
    "break_even": {"break_even": {"arm": "6", "offset": "1"}},
    "bricks": {"bricks": {"size": "4", "confirm": 1, "reversal": 2}},
}
SPLIT, BONUS, SAME = Scale(1, 10), Scale(1, 2), Scale()


@dataclass(frozen=True)
class Action:
    """A corporate action after so many ticks."""

    after: int
    scale: Scale
    new_symbol: str = INFY

    @property
    def kind(self) -> CorporateActionKind:
        """Its kind; the reversal of a split has that of the split."""
        if self.scale == SAME:
            return CorporateActionKind.RENAME
        return CorporateActionKind.BONUS if self.scale == BONUS else CorporateActionKind.SPLIT


@dataclass(frozen=True)
class Day:
    """The events of a trade and the ticks of its symbols, each with its second."""

    events: list[tuple[float, TradeEvent]]
    ticks: list[RecordedTick]

    def book(self) -> list[BookedTrade]:
        """The book as a dump of trades.v1 has it."""
        return booked_trades([json.loads(event.payload()) for _, event in self.events], "trades.jsonl")

    def log(self) -> list[tuple[int, int, Message]]:
        """The records in the order of their arrival: the event of a second before its tick."""
        events = [(ms(s), 0, record_of(event, ms(s))) for s, event in self.events]
        return sorted([*events, *((each.at_ms, 1, tick_record(each)) for each in self.ticks)], key=lambda it: it[:2])

    def exits(self) -> list[StoredSignal]:
        """The first exit that the worker decided on, as it was stored."""
        worker = evaluator(ExitSignalService(), range(LAYOUT.partitions))
        for _, _, record in self.log():
            for found in worker.evaluate(grouped([record]), 0).detected:
                (candidate, *_) = found.candidates
                price = candidate.detected_price
                event = ExitSignalPublished(
                    trade_id=candidate.trade_id,
                    signal_id=UUID(int=7),
                    symbol=candidate.symbol,
                    direction=found.trade.direction,
                    exit_reason=candidate.exit_reason,
                    leg=candidate.leg,
                    episode_id=1,
                    detected_price=None if price is None else Decimal(price) / 10_000,
                    detected_at=EPOCH + timedelta(microseconds=candidate.detected_at_us),
                )
                return [stored_signal(event.payload())]
        return []


def ms(second: float) -> int:
    return epoch_ms(OPENING + timedelta(seconds=second))


def record_of(event: TradeEvent, at_ms: int) -> Message:
    return messages.trade(event, arrived_ms=at_ms, partition_=home_partition(event.symbol, LAYOUT.partitions))


def tick_record(each: RecordedTick) -> Message:
    return messages.tick(
        str(Decimal(each.price) / 10_000),
        symbol=each.symbol,
        ts=rfc3339(datetime.fromtimestamp(each.at_ms / 1000, OPENING.tzinfo)),
        seq=each.seq,
        arrived_ms=each.at_ms,
        partition_=home_partition(each.symbol, LAYOUT.partitions),
    )


def day(plan: dict[str, Any], direction: Direction, moves: Sequence[int], actions: Sequence[Action]) -> Day:
    """A trade at 1000, its actions, and a tick each second at 1000 and so many rupees, in the shares of the time."""
    sign = direction.sign
    if direction is Direction.SHORT and "target" in plan:
        plan = {"target": plan["stop_loss"], "stop_loss": plan["target"]}
    trade = booked(plan=plan, direction=direction)
    events: list[tuple[float, TradeEvent]] = [(0, opened(trade.trade, trade.plan))]
    entry, current, symbol, version, whole = Decimal(1000), trade.plan, INFY, 1, Scale()
    ticks: list[RecordedTick] = []
    for nth, move in enumerate(moves):
        for action in [each for each in actions if each.after == nth]:
            version += 1
            entry = action.scale.price(entry)
            current = current.scaled(PlanScale(action.scale, Decimal("0.05")), direction, entry)
            whole = Scale(whole.before * action.scale.before, whole.after * action.scale.after)
            events.append((nth + 0.5, adjusted(trade, action, symbol, current, entry, version, whole, nth + 0.5)))
            symbol = action.new_symbol
        price = (Decimal(1000) + sign * move) * whole.before / whole.after
        ticks.append(tick(nth + 1, str(price.quantize(Decimal("0.05"))), symbol))
    return Day(events, ticks)


def adjusted(
    trade: BookedTrade,
    action: Action,
    symbol: str,
    plan: ExitPlan,
    entry: Decimal,
    version: int,
    whole: Scale,
    second: float,
) -> TradeAdjusted:
    at = OPENING + timedelta(seconds=second)
    return TradeAdjusted(
        trade_id=trade.trade.trade_id,
        symbol=symbol,
        direction=trade.trade.direction,
        product_type=trade.trade.product_type,
        user_broker_id="paper",
        action_id=UUID(int=version),
        kind=action.kind,
        new_symbol=action.new_symbol,
        shares_before=action.scale.before,
        shares_after=action.scale.after,
        quantity=whole.quantity(100),
        open_quantity=whole.quantity(100),
        open_quantity_before=100,
        entry_price=entry,
        plan_version=version,
        exit_plan=plan,
        effective_at=at,
        adjusted_at=at,
    )


def verify(book: Sequence[BookedTrade], tape: Sequence[RecordedTick], events: Sequence[StoredSignal]) -> Verified:
    verifier = Verifier(book, in_order(events))
    for each in tape:
        verifier.play(each)
    return verifier.end()


ACTIONS = {
    "split": [Action(2, SPLIT)],
    "bonus": [Action(1, BONUS)],
    "rename": [Action(2, SAME, TCS)],
    "split and its reversal": [Action(1, SPLIT), Action(3, SPLIT.inverse)],
    "split and rename": [Action(1, SPLIT), Action(3, SAME, TCS)],
}
moves = st.lists(st.integers(-12, 12), min_size=5, max_size=12)


@pytest.mark.parametrize("actions", ACTIONS.values(), ids=ACTIONS)
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@given(direction=st.sampled_from(Direction), moves=moves)
def test_what_the_worker_decided_is_verified(
    plan: dict[str, Any], actions: Sequence[Action], direction: Direction, moves: list[int]
) -> None:
    lived = day(plan, direction, moves, actions)
    exits = lived.exits()
    assert verify(lived.book(), lived.ticks, exits) == Verified(len(exits), 0, 0, ())
    for each in exits:
        told = each.event.model_copy(update={"detected_price": (each.event.detected_price or 0) + Decimal("0.05")})
        assert verify(lived.book(), lived.ticks, [stored_signal(told.payload())]).differences


def test_an_exit_after_a_split_needs_its_action() -> None:
    lived = day(PLANS["levels"], Direction.LONG, [0, 4, 6, 10], ACTIONS["split"])
    exits = lived.exits()
    assert [each.event.detected_price for each in exits] == [Decimal(101)]
    without = next(iter(lived.book())).with_plan(ExitPlan.model_validate(PLANS["levels"]))
    assert verify([without], lived.ticks, exits).differences


def test_symbols_of_a_renamed_trade_may_follow_each_other() -> None:
    lived = day(PLANS["trailing"], Direction.LONG, [0, 5, 9, 12, 3], ACTIONS["rename"])
    exits = lived.exits()
    assert [each.event.symbol for each in exits] == [TCS]
    new_first = sorted(lived.ticks, key=lambda each: each.symbol != TCS)
    assert verify(lived.book(), new_first, exits) == Verified(1, 0, 0, ())


def test_only_a_verification_follows_corporate_actions() -> None:
    lived = day(PLANS["levels"], Direction.LONG, [0] * 5, ACTIONS["split"])
    with pytest.raises(InvalidInput, match="only --verify follows it"):
        play(lived.book(), lived.ticks)
