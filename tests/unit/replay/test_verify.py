"""Stored exits against the decisions of the rules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.exit_qualification.domain.circuit_limits import CircuitLimits
from services.replay.book import BookedTrade
from services.replay.changes import PlanChange
from services.replay.player import play
from services.replay.stored import StoredSignal, in_order, read_stored, stored_signal
from services.replay.tape.recorded import RecordedTick
from services.replay.verify import Verified, Verifier
from shared.contracts.exits import ExitSignalPublished
from shared.contracts.vocabulary import Direction, ExitReason
from shared.errors import InvalidInput
from shared.exit_rules.plan import ExitPlan
from shared.instants import epoch_ms
from tests.unit.replay.examples import INFY, OPENING, TCS, booked, tick
from tests.unit.replay.test_player_agrees_with_oracle import ticks, trades

RISING = [tick(1, 1005), tick(2, 1010), tick(3, 1020)]


def after(seconds: float) -> datetime:
    return OPENING + timedelta(seconds=seconds)


def stored(number: int = 1, **changes: Any) -> StoredSignal:
    """The stored TARGET of trade 1 at the second tick of RISING, but for the changes."""
    facts: dict[str, Any] = {
        "trade_id": UUID(int=1),
        "signal_id": UUID(int=100 + number),
        "symbol": INFY,
        "direction": Direction.LONG,
        "exit_reason": ExitReason.TARGET,
        "episode_id": 1,
        "detected_price": Decimal(1010),
        "detected_at": after(2),
    }
    return stored_signal(ExitSignalPublished(**(facts | changes)).payload())


def verify(book: Iterable[BookedTrade], tape: Iterable[RecordedTick], events: Sequence[StoredSignal]) -> Verified:
    verifier = Verifier(book, in_order(events))
    for each in tape:
        verifier.play(each)
    return verifier.end()


def test_what_happened_is_what_the_rules_decide() -> None:
    assert verify([booked()], RISING, [stored()]) == Verified(same=1, by_hand=0, unknown=0, differences=())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"detected_price": Decimal("1010.05")}, "detected_price is 1010.05, not 1010.00"),
        ({"detected_at": after(2) + timedelta(microseconds=1)}, "detected_at"),
        ({"exit_reason": ExitReason.STOP_LOSS}, "exit_reason is STOP_LOSS, not TARGET"),
        ({"episode_id": 2}, "episode_id is 2, not 1"),
        ({"direction": Direction.SHORT}, "direction"),
        ({"symbol": TCS}, "symbol"),
    ],
)
def test_every_changed_field_is_a_difference(changes: dict[str, Any], field: str) -> None:
    (difference,) = verify([booked()], RISING, [stored(**changes)]).differences
    assert field in difference.what


def test_a_changed_price_of_the_tape_is_a_difference() -> None:
    assert verify([booked()], [RISING[0], tick(2, "1010.05")], [stored()]).differences


def test_ticks_beyond_the_circuit_limits_are_refused_as_they_were() -> None:
    limits = {INFY: CircuitLimits((OPENING + timedelta(minutes=330)).date().toordinal() - 719_163, upper=1015_0000)}
    tape = [RISING[0], tick(1.5, 2000), RISING[1]]
    assert verify([booked()], tape, [stored()]).differences
    verifier = Verifier([booked()], [stored()], limits=limits)
    for each in tape:
        verifier.play(each)
    assert verifier.end() == Verified(same=1, by_hand=0, unknown=0, differences=())


def test_legs_of_a_ladder_share_their_episodes() -> None:
    ladder = {"targets": [{"price": "1010", "quantity": 50}, {"price": "1020", "quantity": 50}]}
    legs = [stored(1, leg=1), stored(2, leg=2, episode_id=2, detected_price=Decimal(1020), detected_at=after(3))]
    assert verify([booked(plan=ladder)], RISING, legs) == Verified(same=2, by_hand=0, unknown=0, differences=())


def test_a_late_limit_of_time_exits_at_the_change() -> None:
    held = ExitPlan.model_validate({"target": "1050", "max_hold_s": 5})
    trade = replace(booked(plan={"target": "1050"}), changes=(PlanChange(epoch_ms(after(60)), 2, held),))
    by_clock = stored(exit_reason=ExitReason.TIME, detected_at=after(60.05), detected_price=Decimal(1020))
    assert verify([trade], RISING, [by_clock]) == Verified(same=1, by_hand=0, unknown=0, differences=())


def test_an_exit_that_is_not_stored_is_a_difference() -> None:
    (difference,) = verify([booked()], RISING, []).differences
    assert "replayed: TARGET at 1010.00" in difference.what


@pytest.mark.parametrize("tape", [[tick(1, 1005)], []], ids=["quiet", "empty"])
def test_a_stored_exit_without_its_tick_is_a_difference(tape: list[RecordedTick]) -> None:
    (difference,) = verify([booked()], tape, [stored()]).differences
    assert difference.what.endswith("replayed: nothing")


def test_exits_of_trades_missing_from_book_are_counted() -> None:
    assert verify([booked()], RISING, [stored(), stored(2, trade_id=UUID(int=9))]).unknown == 1


def test_an_exit_by_hand_ends_its_trade_and_is_counted() -> None:
    by_hand = stored(exit_reason=ExitReason.MANUAL, detected_price=None, detected_at=after(1.5))
    assert verify([booked()], RISING, [by_hand]) == Verified(same=0, by_hand=1, unknown=0, differences=())
    late = stored(exit_reason=ExitReason.MANUAL, detected_price=None, detected_at=after(2.5))
    assert verify([booked()], RISING, [late]).differences


FAILED_ONCE = [tick(1, 989), tick(2, 995), tick(3, 988), tick(4, 985)]
FIRST = {"exit_reason": ExitReason.STOP_LOSS, "detected_price": Decimal(989), "detected_at": after(1)}
SECOND = {**FIRST, "detected_price": Decimal(988), "detected_at": after(3), "episode_id": 2}


def test_a_later_exit_holds_at_the_tick_that_it_names() -> None:
    assert verify([booked()], FAILED_ONCE, [stored(1, **FIRST), stored(2, **SECOND)]).same == 2


@pytest.mark.parametrize(
    "changes", [{"detected_price": Decimal(985)}, {"detected_at": after(2), "detected_price": Decimal(995)},
                {"episode_id": 3}, {"detected_at": after(9)}]
)  # fmt: skip
def test_a_later_exit_that_does_not_hold_is_a_difference(changes: dict[str, Any]) -> None:
    found = verify([booked()], FAILED_ONCE, [stored(1, **FIRST), stored(2, **(SECOND | changes))])
    assert (found.same, len(found.differences)) == (1, 1)


def test_a_stop_takes_over_from_a_target_that_waited() -> None:
    events = [stored(), stored(2, **(FIRST | {"detected_at": after(5)}))]
    assert verify([booked()], [*RISING, tick(5, 989)], events).same == 2


HELD: dict[str, Any] = {"plan": {"max_hold_s": 10, "stop_loss": "990"}}


@pytest.mark.parametrize(("at_s", "price"), [(10, 1005), (10.2, 1005), (10.6, 1005), (10.6, 1006)])
def test_clock_exit_takes_price_until_worker_looked(at_s: float, price: int) -> None:
    event = stored(exit_reason=ExitReason.TIME, detected_price=Decimal(price), detected_at=after(at_s))
    assert verify([booked(**HELD)], [tick(9, 1005), tick(10.5, 1006), tick(11, 1007)], [event]).differences == ()


@pytest.mark.parametrize(("at_s", "price"), [(10.6, 1007), (9.9, 1005), (10.2, 1006), (10.2, None), (60, 1007)])
def test_clock_exit_at_other_price_or_time_is_difference(at_s: float, price: int | None) -> None:
    told = None if price is None else Decimal(price)
    event = stored(exit_reason=ExitReason.TIME, detected_price=told, detected_at=after(at_s))
    found = verify([booked(**HELD)], [tick(9, 1005), tick(10.5, 1006), tick(11, 1007)], [event])
    assert len(found.differences) == 1


def test_tick_may_precede_clock_check_of_worker() -> None:
    event = stored(exit_reason=ExitReason.STOP_LOSS, detected_price=Decimal(989), detected_at=after(10.1))
    assert verify([booked(**HELD)], [tick(9, 1005), tick(10.1, 989)], [event]).same == 1


def test_a_changed_plan_counts_from_its_change_on() -> None:
    wider = PlanChange(epoch_ms(after(1.5)), 2, ExitPlan.model_validate({"target": "1020"}))
    trade = BookedTrade(booked().trade, booked().plan, changes=(wider,))
    event = stored(detected_price=Decimal(1020), detected_at=after(3))
    assert verify([trade], RISING, [event]).differences == ()


def test_a_trade_is_judged_from_the_arrival_of_its_event() -> None:
    trade = BookedTrade(booked().trade, booked().plan, arrived_ms=epoch_ms(after(2.5)))
    assert verify([trade], [*RISING[:2], tick(2.2, 1000), tick(3, 1020)], [
        stored(detected_price=Decimal(1020), detected_at=after(3))
    ]).differences == ()  # fmt: skip


def test_a_dump_is_read_once_per_event_and_in_order(tmp_path: Path) -> None:
    file = tmp_path / "signals.jsonl"
    lines = [json.dumps(dict(each.payload)) for each in (stored(2, **SECOND), stored(1, **FIRST), stored(2, **SECOND))]
    file.write_text("\n".join(lines) + "\n\n")
    assert [each.event.episode_id for each in read_stored(file)] == [1, 2]
    file.write_text("{}\n")
    with pytest.raises(InvalidInput, match="line 1"):
        read_stored(file)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(trades, min_size=1, max_size=5, unique_by=lambda each: each.trade.trade_id),
    st.lists(ticks, min_size=1, max_size=12),
    st.data(),
)
def test_replay_findings_verify_and_each_change_is_convicted(
    book: list[BookedTrade], found: list[RecordedTick], data: st.DataObject
) -> None:
    tape = sorted(found, key=lambda each: each.at_ms)
    exits = [each for each in play(book, tape).exits if each.leg is None]
    whole = {each.trade.trade_id for each in exits} - {e.trade.trade_id for e in play(book, tape).exits if e.leg}
    of_book = [each for each in book if each.trade.trade_id in whole]
    events = [
        stored(
            nth,
            trade_id=each.trade.trade_id,
            symbol=each.trade.symbol,
            direction=each.trade.direction,
            exit_reason=each.exit_reason,
            detected_price=each.detected_price,
            detected_at=each.detected_at,
        )
        for nth, each in enumerate(exits)
        if each.trade.trade_id in whole
    ]
    assert verify(of_book, tape, events) == Verified(len(events), 0, 0, ())
    if events:
        nth = data.draw(st.integers(0, len(events) - 1))
        told = events[nth].event
        other = told.model_copy(update={"detected_price": (told.detected_price or Decimal(0)) + Decimal("0.0100")})
        changed = [*events[:nth], stored_signal(other.payload()), *events[nth + 1 :]]
        assert [each.trade_id for each in verify(of_book, tape, changed).differences] == [told.trade_id]
