from __future__ import annotations

from typing import Any

import pytest

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.registry import RULES, rule_of
from tests.unit.exit_qualification.examples import open_trade

LONG, SHORT = Direction.LONG, Direction.SHORT
ABOVE = [(1009_9999, False), (1010_0000, True), (1010_0001, True), (1500_0000, True)]
BELOW = [(990_0001, False), (990_0000, True), (989_9999, True), (1, True)]


def fires(direction: Direction, price: int, **plan: Any) -> bool:
    engine = ExitSignalService()
    engine.add_trade(open_trade(direction=direction, **{"target": None, "stop_loss": None} | plan))
    return bool(engine.on_tick("NSE:INFY", price, 1, 1).candidates)


@pytest.mark.parametrize(("price", "holds"), ABOVE)
def test_a_long_reaches_its_target_at_or_above_it(price: int, holds: bool) -> None:
    assert fires(LONG, price, target=1010_0000) is holds


@pytest.mark.parametrize(("price", "holds"), BELOW)
def test_a_long_is_stopped_at_or_below_its_floor(price: int, holds: bool) -> None:
    assert fires(LONG, price, stop_loss=990_0000) is holds


@pytest.mark.parametrize(("price", "holds"), BELOW)
def test_a_short_reaches_its_target_at_or_below_it(price: int, holds: bool) -> None:
    assert fires(SHORT, price, target=990_0000) is holds


@pytest.mark.parametrize(("price", "holds"), ABOVE)
def test_a_short_is_stopped_at_or_above_its_ceiling(price: int, holds: bool) -> None:
    assert fires(SHORT, price, stop_loss=1010_0000) is holds


@pytest.mark.parametrize("direction", Direction)
def test_a_rule_that_the_plan_does_not_have_never_holds(direction: Direction) -> None:
    assert not any(fires(direction, price) for price in (1, 1000_0000, 10**17))


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.toward], ids=lambda rule: rule.reason.value)
def test_a_detected_level_holds_on_its_own_side(direction: Direction, rule: object) -> None:
    rule = rule_of(rule.reason)  # type: ignore[attr-defined]
    toward = rule.toward * direction.sign
    held = [rule.still_holds(direction, 1000, 1000 + step * toward) for step in (-1, 0, 1)]
    assert held == [False, True, True]


def test_the_rules_stand_in_order_of_rank() -> None:
    assert [rule.reason for rule in RULES] == sorted(ExitReason, key=lambda reason: reason.rank)


def test_stop_survives_price_recovery_but_target_does_not() -> None:
    waiting = {rule.reason for rule in RULES if not rule.expires}
    assert waiting == {ExitReason.STOP_LOSS, ExitReason.ACCOUNT_LOSS, ExitReason.MANUAL, ExitReason.TIME}
