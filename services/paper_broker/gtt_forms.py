"""Request forms of triggers (GTT), validated as Kite does: the condition and the orders are JSON in a form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError

from services.paper_broker.gtts import LEGS, Fires, GttLeg, GttRequest, Kind
from services.paper_broker.kite_errors import bad_input
from services.paper_broker.order_forms import (
    Amount,
    Exchange,
    Product,
    Quantity,
    price_units,
    read_symbol,
    refuse_beyond_means,
)
from services.paper_broker.orders import Side
from shared.contracts.events import describe

Price = Annotated[Amount, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Condition(_Part):
    """When a trigger fires."""

    exchange: Exchange
    tradingsymbol: str
    trigger_values: Annotated[list[Price], Field(min_length=1, max_length=2)]
    last_price: Price


class LegOrder(_Part):
    """Order of one leg."""

    exchange: Exchange
    tradingsymbol: str
    transaction_type: Side
    quantity: Quantity
    order_type: Literal["LIMIT"]
    product: Product
    price: Price


class GttForm(_Part):
    """Parameters of ``POST /gtt/triggers`` and ``PUT /gtt/triggers/{trigger_id}``."""

    type: Kind
    condition: Json[Condition]
    orders: Json[list[LegOrder]]


def read_gtt(form: Mapping[str, str]) -> GttRequest:
    """Return the trigger requested by a form.

    Raises
    ------
    KiteError
        InputException, naming the parameter.
    """
    try:
        read = GttForm.model_validate(form)
        condition: Condition = read.condition
        symbol = read_symbol(condition.exchange, condition.tradingsymbol)
    except ValidationError as error:
        raise bad_input(describe(error)) from error
    orders: Sequence[LegOrder] = read.orders
    if not len(condition.trigger_values) == len(orders) == LEGS[read.type]:
        raise bad_input(f"A {read.type} trigger has {LEGS[read.type]} `trigger_values` and as many `orders`.")
    if any((it.exchange, it.tradingsymbol) != (condition.exchange, condition.tradingsymbol) for it in orders):
        raise bad_input("The orders are not of the condition's instrument.")
    last = price_units("last_price", condition.last_price)
    triggers = [price_units("trigger_values", value) for value in condition.trigger_values]
    legs = tuple(_leg(order, *each) for order, each in zip(orders, _firing(triggers, last), strict=True))
    return GttRequest(symbol, read.type, last, legs)


def refuse_met_legs(legs: Sequence[GttLeg], last_units: int) -> None:
    """Refuse triggers already met by the market at `last_units`; raise KiteError (InputException)."""
    if not any(leg.is_reached(last_units) for leg in legs):
        return
    raise bad_input("Trigger already met." if len(legs) == 1 else "Trigger prices must bracket current price.")


def _firing(triggers: Sequence[int], last_units: int) -> list[tuple[int, Fires]]:
    """Return each trigger with the side from which the market reaches it; of two, the first is the lower one."""
    if len(triggers) == 1:
        return [(triggers[0], "at_or_below" if triggers[0] < last_units else "at_or_above")]
    return [(triggers[0], "at_or_below"), (triggers[1], "at_or_above")]


def _leg(order: LegOrder, trigger_units: int, fires: Fires) -> GttLeg:
    limit: int = price_units("price", order.price)
    refuse_beyond_means(order.quantity, limit)
    return GttLeg(trigger_units, fires, order.transaction_type, order.product, order.quantity, limit)
