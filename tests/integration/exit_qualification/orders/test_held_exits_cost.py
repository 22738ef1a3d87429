"""The looks for work pass over exits held by a switch: their cost does not grow with the number of held exits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from sqlalchemy import Engine, TextClause, text

from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.storage import market_quotes, order_queues, trade_holds
from services.exit_qualification.storage.trade_holds import TradeHoldRepository
from shared.contracts.vocabulary import KillSwitchMode
from shared.postgres.engine import BY_INDEX
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario

HELD = 5
Look = tuple[TextClause, dict[str, object]]
LOOKS: dict[str, Look] = {
    "due": (order_queues.TO_REQUALIFY, {"limit": 100}),
    "quotes": (market_quotes.NEEDED_NOW, {"limit": 100, "every_s": 1.0, "silent": []}),
}


def exits_read(engine: Engine, look: Look) -> int:
    """The number of exits that the server reads for a look, kept or not."""
    statement, parameters = look
    with engine.connect() as connection:
        for name, value in BY_INDEX.items():
            connection.execute(text(f"SET LOCAL {name} = {value}"))
        explained = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}")
        (plan,) = connection.execute(explained, parameters).scalar_one()
    return sum(
        int(step["Actual Loops"] * (step["Actual Rows"] + step.get("Rows Removed by Filter", 0)))
        for step in steps(plan["Plan"])
        if step.get("Relation Name") == "exit_intents"
    )


def steps(step: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A step of a plan, and those below it."""
    yield step
    for below in step.get("Plans", ()):
        yield from steps(below)


@pytest.mark.parametrize("look", LOOKS)
def test_exits_held_by_the_kill_switch_are_not_read(scenario: OrderScenario, exit_engine: Engine, look: str) -> None:
    scenario.kill(KillSwitchMode.ALL)
    for _ in range(HELD):
        scenario.detect(scenario.open_trade())
    assert exits_read(exit_engine, LOOKS[look]) == 0
    scenario.kill(KillSwitchMode.OFF)
    assert exits_read(exit_engine, LOOKS[look]) >= HELD


@pytest.mark.parametrize("look", LOOKS)
def test_exits_of_a_disconnected_account_are_not_read(scenario: OrderScenario, exit_engine: Engine, look: str) -> None:
    scenario.connect(BrokerStatus.DISCONNECTED)
    for _ in range(HELD):
        scenario.detect(scenario.open_trade())
    assert exits_read(exit_engine, LOOKS[look]) == 0
    scenario.connect(BrokerStatus.CONNECTED)
    assert exits_read(exit_engine, LOOKS[look]) >= HELD


def test_only_exits_of_held_trades_are_read_for_their_holds(scenario: OrderScenario, exit_engine: Engine) -> None:
    trades = [scenario.open_trade() for _ in range(HELD)]
    for trade in trades:
        scenario.detect(trade)
    look: Look = (trade_holds.WAITING, {})
    assert exits_read(exit_engine, look) == 0
    with exit_engine.begin() as connection:
        TradeHoldRepository(connection).hold([trades[0].trade_id], 60)
    assert exits_read(exit_engine, look) == 1
