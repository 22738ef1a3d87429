"""Foreign orders in the broker's books: known if exits have adopted their fills, and only as far."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from services.checker.broker_books import BrokerBooks, check_broker_books
from services.checker.exit_books import ExitBooks, Fill, Intent
from shared.ids import new_id

FOREIGN: dict[str, Any] = {
    "order_id": "9",
    "tag": None,
    "filled_quantity": 100,
    "status": "COMPLETE",
    "transaction_type": "SELL",
}


def fill(trade_id: str, quantity: int, price: str = "1003.50", order_id: str = "9") -> Fill:
    return Fill(order_id, trade_id, quantity, Decimal(price))


def exits(*parts: Fill) -> ExitBooks:
    """One adopted exit of a trade for each part."""
    intents, fills = {}, {}
    for part in parts:
        it = Intent(new_id(), new_id(), "LONG", "FILLED", part.quantity, part.quantity, "T", "9", False, True)
        intents[it.intent_id] = it
        fills[it.intent_id] = [part]
    return ExitBooks(intents, fills, {})


@pytest.mark.parametrize("parts", [[fill("1", 100)], [fill("1", 60)], [fill("1", 60), fill("1/2", 40)]])
def test_manual_order_with_adopted_fills_is_known(parts: list[Fill]) -> None:
    assert check_broker_books(BrokerBooks([FOREIGN], [fill("1", 100)]), exits(*parts)).violations == ()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([], "order 9 carries no tag of ours"),
        ([fill("1", 60), fill("1/2", 41)], "was adopted beyond the broker's books"),
        ([fill("1", 100, "1003.55")], "was adopted beyond the broker's books"),
        ([fill("2", 1)], "was adopted beyond the broker's books"),
    ],
)
def test_what_the_broker_does_not_have_is_told(parts: list[Fill], said: str) -> None:
    finding = check_broker_books(BrokerBooks([FOREIGN], [fill("1", 100)]), exits(*parts))
    assert any(said in line for line in finding.violations), finding.violations
