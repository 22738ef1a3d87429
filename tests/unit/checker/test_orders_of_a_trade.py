"""Orders of one trade in the broker's books: one for the whole remainder, or one for each leg."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from services.checker.broker_books import BrokerBooks, check_broker_books
from services.checker.exit_books import ExitBooks, Fill, Intent
from shared.ids import new_id

TRADE = new_id()
REST = Intent(new_id(), TRADE, "LONG", "FILLED", 10, 10, "", "", sent=True)
LEG = replace(REST, leg=1)
BESIDE = replace(REST, beside_leg=True)


def violations(*exits: Intent) -> list[str]:
    """Compare filled exits with a broker with a filled order of each."""
    orders, fills, intents = [], {}, {}
    for number, each in enumerate(exits):
        intent = replace(each, intent_id=new_id(), tag=f"T{number}", broker_order_id=str(number))
        intents[intent.intent_id] = intent
        fills[intent.intent_id] = [Fill(str(number), f"t{number}", 10, Decimal("1010.00"))]
        orders.append(
            {
                "order_id": str(number),
                "tag": intent.tag,
                "filled_quantity": 10,
                "status": "COMPLETE",
                "transaction_type": "SELL",
            }
        )
    books = BrokerBooks(orders, [fill for of_intent in fills.values() for fill in of_intent])
    return list(check_broker_books(books, ExitBooks(intents, fills, {})).violations)


@pytest.mark.parametrize(
    "exits", [[REST], [LEG, replace(LEG, leg=2)], [LEG, replace(LEG, leg=2), REST], [LEG, BESIDE, REST]]
)
def test_each_leg_and_the_rest_have_own_order(exits: list[Intent]) -> None:
    assert violations(*exits) == []


@pytest.mark.parametrize(
    ("exits", "orders"), [([REST, REST], "2 orders filled"), ([LEG, LEG, REST], "2 orders of leg 1 filled")]
)
def test_two_orders_for_the_same_are_told(exits: list[Intent], orders: str) -> None:
    (line,) = violations(*exits)
    assert f"trade {TRADE} has {orders} or at work" in line
