"""The broker's own order and trade books, against ours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx

from services.checker.exit_books import ExitBooks, Fill, Intent
from services.checker.finding import Finding, Rule, finding
from shared.errors import Unavailable
from shared.http.clients import open_client
from shared.wording import plural

Json = dict[str, Any]

TIMEOUT_S = 15
_NOT_EXECUTED = ("REJECTED", "CANCELLED")


@dataclass(frozen=True)
class BrokerBooks:
    """The broker's orders and executions of the day (Kite Connect v3)."""

    orders: Sequence[Json]
    fills: Sequence[Fill]


def read_broker_books(root_url: str, credentials: Mapping[str, str]) -> BrokerBooks:
    """Ask the broker.

    Raises
    ------
    Unavailable
        It does not answer, or refuses.
    """
    headers = {"X-Kite-Version": "3", "Authorization": f"token {credentials['api_key']}:{credentials['access_token']}"}
    try:
        with open_client(root_url, headers, TIMEOUT_S) as client:
            orders = client.get("/orders").raise_for_status().json()["data"]
            trades = client.get("/trades").raise_for_status().json()["data"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise Unavailable(f"the books of the broker at {root_url} cannot be read: {type(error).__name__}") from error
    return BrokerBooks(orders, [_fill(trade) for trade in trades])


def _fill(trade: Json) -> Fill:
    price = Decimal(str(trade["average_price"]))
    return Fill(str(trade["order_id"]), str(trade["trade_id"]), int(trade["quantity"]), price)


def check_broker_books(broker: BrokerBooks, exits: ExitBooks) -> Finding:
    """Require one COMPLETE order with equal fills for each FILLED intent, and no unknown order.

    A foreign order is known if exits of reason EXTERNAL have adopted fills of it, at most its filled quantity.
    """
    orders: dict[str, list[Json]] = defaultdict(list)
    for order in broker.orders:
        orders[str(order.get("tag"))].append(order)
    by_tag = {intent.tag: intent for intent in exits.intents.values() if not intent.adopted}
    adopted = {intent.broker_order_id for intent in exits.intents.values() if intent.adopted}
    violations = [
        *(
            f"order {order['order_id']} carries no tag of ours"
            for tag in set(orders) - set(by_tag) - set(exits.stops)
            for order in orders[tag]
            if order["order_id"] not in adopted
        ),
        *(line for tag, intent in by_tag.items() for line in _wrong_orders(intent, orders[tag])),
        *_two_executions(by_tag, orders, exits.stops),
        *_wrong_fills(broker, exits),
    ]
    return finding(Rule.BROKER, len(broker.orders), violations, plural(len(broker.fills), "fill"))


def _wrong_orders(intent: Intent, orders: Sequence[Json]) -> Iterator[str]:
    name = f"intent {intent.intent_id}"
    if len(orders) > 1:
        yield f"{name}: {len(orders)} orders carry its tag"
    filled = sum(int(order["filled_quantity"]) for order in orders)
    if filled != intent.filled_quantity:
        yield f"{name}: {intent.filled_quantity} filled, at the broker {filled}"
    complete = [order for order in orders if order["status"] == "COMPLETE"]
    if (intent.status == "FILLED") != (len(complete) == 1):
        yield f"{name}: is {intent.status}, at the broker {[order['status'] for order in orders]}"
    side = "SELL" if intent.direction == "LONG" else "BUY"
    for order in orders:
        if order["transaction_type"] != side:
            yield f"{name}: exits a {intent.direction} trade with a {order['transaction_type']} order"


def _two_executions(
    by_tag: Mapping[str, Intent], orders: Mapping[str, Sequence[Json]], stops: Mapping[str, UUID]
) -> Iterator[str]:
    """Report trades with two filled or fillable orders for the same leg, or for the whole remainder.

    A protective stop is for the whole remainder, and counts with its exit once it was triggered.
    """
    at_work: dict[tuple[UUID, int | None], list[str]] = defaultdict(list)
    for tag in stops.keys() - by_tag.keys():
        found = [order["order_id"] for order in orders.get(tag, ()) if order["status"] not in _NOT_EXECUTED]
        at_work[stops[tag], None].extend(found)
    for tag, intent in by_tag.items():
        if intent.status == "FILLED" and intent.beside_leg:
            continue  # an order at work too, for the same leg; another order exits its remainder
        found = [order["order_id"] for order in orders.get(tag, ()) if order["status"] not in _NOT_EXECUTED]
        at_work[intent.trade_id, intent.leg].extend(found)
    for (trade_id, leg), order_ids in at_work.items():
        if len(order_ids) > 1:
            of_leg = "" if leg is None else f" of leg {leg}"
            yield f"trade {trade_id} has {len(order_ids)} orders{of_leg} filled or at work: {order_ids}"


def _wrong_fills(broker: BrokerBooks, exits: ExitBooks) -> Iterator[str]:
    adopted = {intent_id for intent_id, intent in exits.intents.items() if intent.adopted}
    foreign = {intent.broker_order_id for intent in exits.intents.values() if intent.adopted}
    ours = {fill for intent_id, fills in exits.fills.items() if intent_id not in adopted for fill in fills}
    theirs = {fill for fill in broker.fills if fill.broker_order_id not in foreign}
    for fill in sorted(theirs - ours):
        yield f"fill {fill.broker_trade_id} of order {fill.broker_order_id} is not in our books as the broker has it"
    for fill in sorted(ours - theirs):
        yield f"fill {fill.broker_trade_id} of order {fill.broker_order_id} is not in the broker's books as we have it"
    yield from _wrong_adoptions(broker, [fill for intent_id in adopted for fill in exits.fills.get(intent_id, ())])


def _wrong_adoptions(broker: BrokerBooks, fills: Sequence[Fill]) -> Iterator[str]:
    """Report adopted fills missing from the broker, or larger than there; parts of a fill are `id/2`, `id/3`."""
    left = {(it.broker_order_id, it.broker_trade_id, it.price): it.quantity for it in broker.fills}
    for fill in sorted(fills):
        known = fill.broker_order_id, fill.broker_trade_id.partition("/")[0], fill.price
        left[known] = left.get(known, 0) - fill.quantity
        if left[known] < 0:
            yield f"fill {fill.broker_trade_id} of order {fill.broker_order_id} was adopted beyond the broker's books"
