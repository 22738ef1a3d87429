from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

import pytest

from services.exit_qualification.domain.candidates import QUIET, ExitCandidate, ExitCandidates
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.symbol_book import SymbolState
from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.fixed_level import FixedLevel
from shared.exit_rules.levels import above
from shared.tick_clock import Lateness
from tests.unit.exit_qualification.examples import open_trade

INFY = "NSE:INFY"
TARGET = ExitReason.TARGET
STOP_LOSS = ExitReason.STOP_LOSS
TRAILING_STOP = ExitReason.TRAILING_STOP
ONE = UUID(int=1)
LONG = open_trade()
SHORT = open_trade(direction=Direction.SHORT, target=990_0000, stop_loss=1010_0000)
CONTRADICTORY = open_trade(target=900_0000, stop_loss=1100_0000)


def engine_with(*trades: OpenTrade) -> ExitSignalService:
    engine = ExitSignalService()
    for trade in trades:
        engine.add_trade(trade)
    return engine


def reasons(found: tuple[ExitCandidates, ...] | list[ExitCandidates]) -> list[tuple[int, list[ExitReason]]]:
    return [(entry.trade.trade_id.int, [each.exit_reason for each in entry.candidates]) for entry in found]


@pytest.mark.parametrize(
    ("trade", "price", "reason"),
    [
        (LONG, 1010_0000, TARGET),
        (LONG, 990_0000, STOP_LOSS),
        (SHORT, 990_0000, TARGET),
        (SHORT, 1010_0000, STOP_LOSS),
    ],
)
def test_a_price_at_the_level_exits(trade: OpenTrade, price: int, reason: ExitReason) -> None:
    verdict = engine_with(trade).on_tick(INFY, price, 7, 1)
    assert verdict.accepted
    assert verdict.candidates == (ExitCandidates(trade, (ExitCandidate(ONE, INFY, reason, price, 7, level=price),)),)


@pytest.mark.parametrize("trade", [LONG, SHORT])
@pytest.mark.parametrize("price", [990_0001, 1009_9999])
def test_a_price_inside_the_levels_exits_nothing(trade: OpenTrade, price: int) -> None:
    assert engine_with(trade).on_tick(INFY, price, 1, 1) is QUIET


def test_a_gap_through_the_level_exits_at_the_tick_price() -> None:
    [entry] = engine_with(LONG).on_tick(INFY, 800_0000, 1, 1).candidates
    assert entry.candidates[0].detected_price == 800_0000


def test_two_trades_on_a_symbol_exit_in_id_order() -> None:
    verdict = engine_with(open_trade(9), open_trade(2)).on_tick(INFY, 1010_0000, 1, 1)
    assert reasons(verdict.candidates) == [(2, [TARGET]), (9, [TARGET])]


def test_several_reasons_on_one_tick_stand_in_order_of_rank() -> None:
    verdict = engine_with(CONTRADICTORY).on_tick(INFY, 1000_0000, 1, 1)
    assert reasons(verdict.candidates) == [(1, [STOP_LOSS, TARGET])]


def test_a_tick_of_another_symbol_exits_nothing() -> None:
    assert engine_with(LONG).on_tick("NSE:TCS", 1, 1, 1) is QUIET


def test_what_fired_does_not_fire_again_on_the_next_tick() -> None:
    engine = engine_with(LONG)
    engine.on_tick(INFY, 1010_0000, 1, 1)
    assert engine.on_tick(INFY, 1011_0000, 2, 2) is QUIET
    assert engine.disarmed(10) == [RuleKey(ONE, TARGET)]


def test_after_a_target_fired_the_stop_still_fires() -> None:
    engine = engine_with(LONG)
    engine.on_tick(INFY, 1010_0000, 1, 1)
    assert reasons(engine.on_tick(INFY, 990_0000, 2, 2).candidates) == [(1, [STOP_LOSS])]


@pytest.mark.parametrize(("ts_us", "seq"), [(9, 9), (10, 4)])
def test_a_stale_tick_fires_nothing_and_moves_nothing(ts_us: int, seq: int) -> None:
    engine = engine_with(LONG)
    engine.on_tick(INFY, 1000_0000, 10, 5)
    verdict = engine.on_tick(INFY, 1010_0000, ts_us, seq)
    assert (verdict.accepted, verdict.candidates) == (False, ())
    late = Lateness(stale_since_ms=1, rising_since_ms=1 if seq > 5 else 0, highest_seq=max(seq, 5), is_told=False)
    assert engine.books.state(INFY) == SymbolState(1000_0000, 10, 5, ticks=1, late=late)


def test_the_same_tick_again_is_accepted_and_changes_nothing() -> None:
    engine = engine_with(LONG)
    engine.on_tick(INFY, 1010_0000, 10, 5)
    assert engine.on_tick(INFY, 1010_0000, 10, 5) is QUIET


def test_a_live_intent_disarms_its_rank_and_lower_ones() -> None:
    engine = engine_with(LONG, open_trade(2))
    engine.disarm(ONE, TARGET)
    engine.disarm(UUID(int=2), STOP_LOSS)
    assert reasons(engine.on_tick(INFY, 1010_0000, 1, 1).candidates) == []
    assert reasons(engine.on_tick(INFY, 990_0000, 2, 2).candidates) == [(1, [STOP_LOSS])]


def test_a_manual_exit_disarms_everything() -> None:
    engine = engine_with(CONTRADICTORY)
    engine.disarm(ONE, ExitReason.MANUAL)
    assert engine.on_tick(INFY, 1000_0000, 1, 1) is QUIET
    assert engine.disarmed(10) == [RuleKey(ONE, STOP_LOSS), RuleKey(ONE, TARGET)]


def test_rearming_a_silent_symbol_is_due_at_last_price() -> None:
    engine = engine_with(LONG)
    engine.on_tick(INFY, 985_0000, 7, 1)
    [entry] = engine.rearm([RuleKey(ONE, STOP_LOSS)])
    assert entry.candidates == (ExitCandidate(ONE, INFY, STOP_LOSS, 985_0000, 7, level=990_0000),)
    assert engine.disarmed(10) == [RuleKey(ONE, STOP_LOSS)]


def test_rearming_after_the_price_returned_waits_for_the_next_crossing() -> None:
    engine = engine_with(LONG)
    engine.on_tick(INFY, 985_0000, 1, 1)
    engine.on_tick(INFY, 1000_0000, 2, 2)
    assert engine.rearm([RuleKey(ONE, STOP_LOSS)]) == []
    assert engine.disarmed(10) == []
    assert reasons(engine.on_tick(INFY, 990_0000, 3, 3).candidates) == [(1, [STOP_LOSS])]


def test_rearming_what_is_armed_or_not_known_changes_nothing() -> None:
    engine = engine_with(LONG)
    engine.on_tick(INFY, 1000_0000, 1, 1)
    assert engine.rearm([RuleKey(ONE, TARGET), RuleKey(ONE, ExitReason.TIME)]) == []
    assert engine.rearm([RuleKey(UUID(int=99), TARGET)]) == []


def test_rearmed_before_the_first_tick_it_waits_for_one() -> None:
    engine = engine_with(LONG)
    engine.disarm(ONE, STOP_LOSS)
    assert engine.rearm([RuleKey(ONE, STOP_LOSS), RuleKey(ONE, TARGET)]) == []
    assert reasons(engine.on_tick(INFY, 990_0000, 1, 1).candidates) == [(1, [STOP_LOSS])]


def test_a_level_met_by_last_price_exits_next_tick() -> None:
    engine = ExitSignalService()
    engine.on_tick(INFY, 985_0000, 1, 1)
    engine.add_trade(LONG)
    assert reasons(engine.on_tick(INFY, 985_0000, 2, 2).candidates) == [(1, [STOP_LOSS])]


def test_a_repeated_trade_does_not_arm_again_what_fired() -> None:
    engine = engine_with(LONG)
    engine.on_tick(INFY, 1010_0000, 1, 1)
    engine.add_trade(LONG)
    assert engine.on_tick(INFY, 1010_0000, 2, 2) is QUIET
    assert engine.disarmed(10) == [RuleKey(ONE, TARGET)]


def test_a_removed_trade_never_exits_and_removal_is_idempotent() -> None:
    engine = engine_with(LONG)
    engine.disarm(ONE, TARGET)
    engine.remove_trade(ONE)
    engine.remove_trade(ONE)
    engine.disarm(ONE, TARGET)
    assert engine.on_tick(INFY, 1, 1, 1) is QUIET
    assert engine.disarmed(10) == []


def test_disarmed_queries_are_bounded_and_cover_every_reason() -> None:
    engine = engine_with(*(open_trade(number) for number in range(5)))
    engine.on_tick(INFY, 1010_0000, 1, 1)
    asked = [trade_id.int for _ in range(5) for trade_id, *_ in engine.disarmed(2)]
    assert asked == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]


def test_a_restored_symbol_refuses_what_is_older_than_its_checkpoint() -> None:
    engine = ExitSignalService()
    engine.books.restore(INFY, SymbolState(1000_0000, 10, 5))
    assert engine.books.state(INFY) == SymbolState(1000_0000, 10, 5)
    assert not engine.on_tick(INFY, 1000_0000, 10, 4).accepted


def test_restored_symbol_forgets_stale_ticks_with_its_next_tick() -> None:
    engine = ExitSignalService()
    late = Lateness(stale_since_ms=1, rising_since_ms=1, highest_seq=9, is_told=False)
    engine.books.restore(INFY, SymbolState(1000_0000, 10, 5, 1, late=late))
    assert engine.on_tick(INFY, 1001_0000, 11, 6, 1).accepted
    assert engine.books.state(INFY) == SymbolState(1001_0000, 11, 6, 1, ticks=1)


def test_a_tick_before_its_trade_event_exits_it_immediately() -> None:
    engine = ExitSignalService()
    engine.on_tick(INFY, 985_0000, 1, 1, arrived_ms=LONG.entered_at_ms)
    assert reasons(engine.add_trade(LONG)) == [(1, [STOP_LOSS])]
    assert engine.on_tick(INFY, 985_0000, 2, 2) is QUIET


def test_a_repeated_trade_event_causes_no_second_exit() -> None:
    engine = ExitSignalService()
    engine.on_tick(INFY, 985_0000, 1, 1, arrived_ms=LONG.entered_at_ms)
    engine.add_trade(LONG)
    assert engine.add_trade(LONG) == []


def test_a_silent_symbol_exits_when_rearmed_after_a_restart() -> None:
    engine = ExitSignalService()
    engine.books.restore(INFY, SymbolState(985_0000, 10, 5))
    engine.add_trade(LONG)
    engine.disarm(ONE, STOP_LOSS)
    assert reasons(engine.rearm([RuleKey(ONE, STOP_LOSS)])) == [(1, [STOP_LOSS])]


def changed(trade: OpenTrade, version: int = 2) -> OpenTrade:
    return trade._replace(plan_version=version)


def test_changed_plan_is_judged_by_last_price_without_tick() -> None:
    engine = engine_with(LONG)
    engine.on_tick(INFY, 995_0000, 1, 1)
    assert reasons(engine.change_plan(changed(open_trade(stop_loss=996_0000)))) == [(1, [STOP_LOSS])]
    assert engine.on_tick(INFY, 995_0000, 2, 2) is QUIET


def test_older_plan_and_unknown_trade_plan_change_nothing() -> None:
    engine = engine_with(LONG)
    engine.on_tick(INFY, 995_0000, 1, 1)
    engine.change_plan(changed(open_trade(stop_loss=991_0000), version=3))
    assert engine.change_plan(changed(open_trade(stop_loss=996_0000), version=3)) == []
    assert engine.change_plan(changed(open_trade(2, stop_loss=996_0000))) == []
    assert reasons(engine.on_tick(INFY, 991_0000, 2, 2).candidates) == [(1, [STOP_LOSS])]


def test_a_trailing_stop_that_is_changed_keeps_its_best_price() -> None:
    wide, tight = open_trade(trailing_stop={"amount": "30"}), open_trade(trailing_stop={"amount": "5"})
    engine = engine_with(wide)
    engine.on_tick(INFY, 1009_0000, 1, 1)
    engine.on_tick(INFY, 1006_0000, 2, 2)
    assert engine.change_plan(changed(tight)) == []
    assert reasons(engine.on_tick(INFY, 1004_0000, 3, 3).candidates) == [(1, [TRAILING_STOP])]


@pytest.mark.parametrize("others", [(), (open_trade(2, trailing_stop={"amount": "30"}),)], ids=["alone", "beside one"])
@pytest.mark.parametrize(("last", "stop"), [(1006, 1001), (998, 995)], ids=["in profit", "in loss"])
def test_a_new_trailing_stop_starts_at_the_better_price(others: tuple[OpenTrade, ...], last: int, stop: int) -> None:
    engine = engine_with(open_trade(stop_loss=900_0000), *others)
    engine.on_tick(INFY, 1009_0000, 1, 1)
    engine.on_tick(INFY, last * 10_000, 2, 2)
    assert engine.change_plan(changed(open_trade(stop_loss=900_0000, trailing_stop={"amount": "5"}))) == []
    assert not engine.on_tick(INFY, stop * 10_000 + 1, 3, 3).candidates
    assert reasons(engine.on_tick(INFY, stop * 10_000, 4, 4).candidates) == [(1, [TRAILING_STOP])]


class CountingPrice(int):
    """A price with a count of its comparisons."""

    comparisons = 0

    def _counted(self, outcome: bool) -> bool:
        self.comparisons += 1
        return outcome

    def __lt__(self, other: int) -> bool:
        return self._counted(int(self) < other)

    def __le__(self, other: int) -> bool:
        return self._counted(int(self) <= other)

    def __gt__(self, other: int) -> bool:
        return self._counted(int(self) > other)

    def __ge__(self, other: int) -> bool:
        return self._counted(int(self) >= other)


def ladder(count: int) -> ExitSignalService:
    """LONG trades with targets above 1010 and stops below 990, no two at the same price."""
    return engine_with(
        *(open_trade(number, target=1010_0000 + number, stop_loss=990_0000 - number) for number in range(count))
    )


@pytest.mark.parametrize("open_trades", [1, 10, 3000])
def test_a_distant_tick_costs_two_comparisons_for_any_trades(open_trades: int) -> None:
    price = CountingPrice(1000_0000)
    engine = ladder(open_trades)
    engine.on_tick(INFY, 1000_0000, 1, 1, 1)
    assert engine.on_tick(INFY, price, 2, 2, 2) is QUIET
    assert price.comparisons == 2


@dataclass(frozen=True, slots=True)
class CountingLevel(FixedLevel):
    """A rule with a count of the engine's looks at it."""

    looks: list[int] = field(default_factory=list, compare=False)

    def moved(self, price: int, *, opening: bool) -> Self:
        self.looks.append(price)
        return self


@pytest.mark.parametrize("open_trades", [10, 3000])
def test_a_firing_tick_inspects_only_the_levels_it_passes(open_trades: int) -> None:
    looks: list[int] = []
    engine = engine_with(
        *(
            open_trade(number)._replace(rules={(TARGET, None): CountingLevel(above(1010_0000 + number), looks)})
            for number in range(open_trades)
        )
    )
    assert len(engine.on_tick(INFY, 1010_0001, 1, 1).candidates) == 2
    assert len(looks) == 2


LADDER = open_trade(target=None, targets=[{"price": "1010", "quantity": 50}, {"price": "1020", "quantity": 50}])


def test_legs_passed_by_one_tick_exit_together_others_stay_armed() -> None:
    engine = engine_with(LADDER)
    [entry] = engine.on_tick(INFY, 1010_0000, 1, 1).candidates
    assert [(each.exit_reason, each.leg, each.level) for each in entry.candidates] == [(TARGET, 1, 1010_0000)]
    engine.disarm(ONE, TARGET, 1)
    [entry] = engine.on_tick(INFY, 1025_0000, 2, 2).candidates
    assert [(each.leg, each.detected_price) for each in entry.candidates] == [(2, 1025_0000)]
    [entry] = engine_with(LADDER).on_tick(INFY, 1025_0000, 1, 1).candidates
    assert [each.leg for each in entry.candidates] == [1, 2]


def test_an_exit_of_the_rest_disarms_every_leg() -> None:
    engine = engine_with(LADDER)
    engine.disarm(ONE, STOP_LOSS)
    assert engine.on_tick(INFY, 1025_0000, 1, 1).candidates == ()


def test_a_retired_leg_stays_disarmed_and_is_not_checked_again() -> None:
    engine = engine_with(LADDER)
    engine.on_tick(INFY, 1010_0000, 1, 1)
    engine.retire([RuleKey(ONE, TARGET, 1)])
    assert engine.disarmed(10) == []
    assert engine.rearm([RuleKey(ONE, TARGET, 1)]) == []
    assert engine.on_tick(INFY, 1011_0000, 2, 2).candidates == ()
