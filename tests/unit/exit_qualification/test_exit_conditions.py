from __future__ import annotations

import pytest

from services.exit_qualification.domain.exit_conditions import (
    PATIENT_REASONS,
    PRICE_REASONS,
    condition_holds,
    level_of,
)
from shared.contracts.vocabulary import Direction, ExitReason
from shared.errors import InvalidInput
from tests.unit.exit_qualification.examples import open_trade

LONG = open_trade(target=1010_0000, stop_loss=990_0000)
SHORT = open_trade(direction=Direction.SHORT, target=990_0000, stop_loss=1010_0000)


@pytest.mark.parametrize(
    ("price", "holds"), [(1009_9999, False), (1010_0000, True), (1010_0001, True), (1500_0000, True)]
)
def test_a_long_reaches_its_target_at_or_above_it(price: int, holds: bool) -> None:
    assert condition_holds(LONG, ExitReason.TARGET, price) is holds


@pytest.mark.parametrize(("price", "holds"), [(990_0001, False), (990_0000, True), (989_9999, True), (1, True)])
def test_a_long_is_stopped_at_or_below_its_floor(price: int, holds: bool) -> None:
    assert condition_holds(LONG, ExitReason.STOP_LOSS, price) is holds


@pytest.mark.parametrize(("price", "holds"), [(990_0001, False), (990_0000, True), (989_9999, True), (1, True)])
def test_a_short_reaches_its_target_at_or_below_it(price: int, holds: bool) -> None:
    assert condition_holds(SHORT, ExitReason.TARGET, price) is holds


@pytest.mark.parametrize(
    ("price", "holds"), [(1009_9999, False), (1010_0000, True), (1010_0001, True), (1500_0000, True)]
)
def test_a_short_is_stopped_at_or_above_its_ceiling(price: int, holds: bool) -> None:
    assert condition_holds(SHORT, ExitReason.STOP_LOSS, price) is holds


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("reason", PRICE_REASONS)
def test_a_rule_that_the_plan_does_not_have_never_holds(direction: Direction, reason: ExitReason) -> None:
    bare = open_trade(direction=direction, target=None, stop_loss=None)
    assert not any(condition_holds(bare, reason, price) for price in (1, 1000_0000, 10**17))


@pytest.mark.parametrize("price", [1, 1000_0000, 10**17])
def test_a_manual_exit_holds_at_any_price(price: int) -> None:
    assert condition_holds(LONG, ExitReason.MANUAL, price)


def test_a_reason_that_no_price_decides_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no price decides EXTERNAL"):
        condition_holds(LONG, ExitReason.EXTERNAL, 1)


def test_the_price_reasons_stand_in_order_of_rank() -> None:
    assert list(PRICE_REASONS) == sorted(PRICE_REASONS, key=lambda reason: reason.rank)


def test_a_stop_waits_even_if_the_price_comes_back_and_a_target_does_not() -> None:
    assert ExitReason.STOP_LOSS in PATIENT_REASONS
    assert ExitReason.MANUAL in PATIENT_REASONS
    assert ExitReason.TARGET not in PATIENT_REASONS


@pytest.mark.parametrize("reason", sorted(set(ExitReason) - set(PRICE_REASONS)))
def test_a_reason_that_no_price_decides_has_no_level(reason: ExitReason) -> None:
    with pytest.raises(InvalidInput, match="no price decides"):
        level_of(LONG, reason)


@pytest.mark.parametrize(("reason", "level"), [(ExitReason.TARGET, 1010_0000), (ExitReason.STOP_LOSS, 990_0000)])
def test_each_price_reason_has_its_own_level(reason: ExitReason, level: int) -> None:
    assert level_of(LONG, reason) == level
