"""Request forms for placing and modifying an order, validated as Kite does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.paper_broker.kite_errors import bad_input, changed_too_often
from services.paper_broker.matching import reaches_trigger
from services.paper_broker.orders import LIMITED, MAX_VALUE_UNITS, STOPS, Order, OrderRequest, OrderType, Side
from shared.contracts.events import describe
from shared.contracts.trades import Symbol
from shared.errors import InvalidInput
from shared.money import parse_money, to_units

Exchange = Literal["NSE", "BSE", "NFO", "CDS", "BFO", "MCX", "BCD"]
Product = Literal["CNC", "MIS", "NRML"]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,20}$")]
Amount = Annotated[Decimal, Field(ge=0, le=10**9)]
Protection = Annotated[Decimal, Field(ge=-1, le=100)]
Quantity = Annotated[int, Field(gt=0, le=10**9)]
_SYMBOL: TypeAdapter[str] = TypeAdapter(Symbol)

MOST_CHANGES = 25
"""Changes of an order by its account; Kite refuses further ones."""

NO_PROTECTION = (
    "Market orders without market protection are not allowed via API."
    " Please set market protection or use a Limit order."
)


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PlaceForm(_Form):
    """Parameters of ``POST /orders/regular``."""

    exchange: Exchange
    tradingsymbol: str
    transaction_type: Side
    quantity: Quantity
    product: Product
    order_type: OrderType
    price: Amount = Decimal(0)
    trigger_price: Amount = Decimal(0)
    validity: Literal["DAY", "IOC", "TTL"] = "DAY"
    validity_ttl: Annotated[int, Field(ge=1, le=345)] | None = None
    market_protection: Protection = Decimal(0)
    tag: Tag | None = None


class ModifyForm(_Form):
    """Parameters of ``PUT /orders/regular/{order_id}``; omitted parameters stay unchanged."""

    quantity: Quantity | None = None
    price: Amount | None = None
    trigger_price: Amount | None = None
    order_type: OrderType | None = None
    validity: Literal["DAY"] | None = None
    market_protection: Protection | None = None


def read_placement(form: Mapping[str, str]) -> OrderRequest:
    """Return the order requested by a form.

    Raises
    ------
    KiteError
        InputException, naming the parameter.
    """
    try:
        read = PlaceForm.model_validate(form)
        symbol = read_symbol(read.exchange, read.tradingsymbol)
    except ValidationError as error:
        raise bad_input(describe(error)) from error
    limit = _limit_units(read.order_type, read.price)
    protection = price_units("market_protection", read.market_protection)
    trigger = _trigger_units(read.order_type, read.trigger_price)
    _refuse_terms(read.transaction_type, read.order_type, read.quantity, limit, trigger, protection)
    _refuse_validity(read)
    return OrderRequest(
        symbol=symbol,
        side=read.transaction_type,
        product=read.product,
        order_type=read.order_type,
        validity=read.validity,
        quantity=read.quantity,
        limit_units=limit,
        protection_units=protection,
        tag=read.tag,
        trigger_units=trigger,
        ttl_minutes=read.validity_ttl if read.validity == "TTL" else None,
    )


def _refuse_validity(read: PlaceForm) -> None:
    if read.validity == "TTL" and read.validity_ttl is None:
        raise bad_input("`validity_ttl` is missing for validity TTL.")
    if read.validity == "IOC" and read.exchange == "MCX":
        raise bad_input("Validity IOC is not allowed for MCX.")
    if read.validity == "IOC" and read.order_type in STOPS:
        raise bad_input(f"Validity IOC is not allowed for {read.order_type} orders.")


def read_symbol(exchange: str, tradingsymbol: str) -> str:
    """Return ``EXCHANGE:TRADINGSYMBOL``; raise ValidationError if it is no symbol."""
    return _SYMBOL.validate_python(f"{exchange}:{tradingsymbol}")


def read_modification(form: Mapping[str, str]) -> ModifyForm:
    """Return the change requested by a form; raise KiteError (InputException) if the form is invalid."""
    try:
        return ModifyForm.model_validate(form)
    except ValidationError as error:
        raise bad_input(describe(error)) from error


def modified(order: Order, form: ModifyForm, now_ms: int) -> Order:
    """Return the order after the change. A stop with a new trigger waits for it.

    Raises
    ------
    KiteError
        InputException if these terms are invalid for the order; NetworkException if it was changed too often.
    """
    if order.modified >= MOST_CHANGES:
        raise changed_too_often()
    order_type = form.order_type or order.order_type
    quantity = form.quantity or order.quantity
    if quantity <= order.filled_quantity:
        raise bad_input(f"Quantity cannot be less than or equal to the filled quantity {order.filled_quantity}.")
    limit = _limit_units(order_type, form.price, order.limit_units)
    trigger = _trigger_units(order_type, form.trigger_price, order.trigger_units)
    was_triggered = order.trigger_units is not None and order.status == "OPEN"
    if was_triggered and trigger not in (None, order.trigger_units):
        raise bad_input("Trigger price cannot be changed: the order was triggered.")
    protection = order.protection_units
    if form.market_protection is not None:
        protection = price_units("market_protection", form.market_protection)
    _refuse_terms(order.side, order_type, quantity, limit, trigger, protection)
    return replace(
        order,
        quantity=quantity,
        order_type=order_type,
        limit_units=limit,
        trigger_units=trigger,
        protection_units=protection,
        status="TRIGGER PENDING" if trigger is not None and not was_triggered else "OPEN",
        modified=order.modified + 1,
        updated_ms=now_ms,
    )


def refuse_met_trigger(side: Side, trigger_units: int | None, last_units: int | None) -> None:
    """Refuse the trigger of a stop if the market has already reached it, as Kite does.

    Raises
    ------
    KiteError
        InputException.
    """
    if trigger_units is None or last_units is None or not reaches_trigger(side, trigger_units, last_units):
        return
    where = "lower" if side == "SELL" else "higher"
    raise bad_input(f"Trigger price for stoploss {side.lower()} orders should be {where} than the last traded price.")


def _refuse_terms(
    side: Side, order_type: OrderType, quantity: int, limit: int | None, trigger: int | None, protection: int
) -> None:
    """Refuse terms valid alone but not together."""
    if order_type not in LIMITED and protection == 0:
        raise bad_input(NO_PROTECTION)
    if limit is not None and trigger is not None:
        if side == "BUY" and trigger > limit:
            raise bad_input("Trigger price can't be higher than price.")
        if side == "SELL" and trigger < limit:
            raise bad_input("Trigger price can't be lesser than price.")
    refuse_beyond_means(quantity, limit)


def _limit_units(order_type: OrderType, price: Decimal | None, known: int | None = None) -> int | None:
    if order_type not in LIMITED:
        return None
    return _given_units("price", order_type, price, known)


def _trigger_units(order_type: OrderType, price: Decimal | None, known: int | None = None) -> int | None:
    if order_type not in STOPS:
        return None
    return _given_units("trigger_price", order_type, price, known)


def _given_units(name: str, order_type: OrderType, price: Decimal | None, known: int | None) -> int:
    if price is None and known is not None:
        return known
    if not price:
        raise bad_input(f"{name.replace('_', ' ').capitalize()} cannot be 0 for a {order_type} order.")
    return price_units(name, price)


def price_units(name: str, value: Decimal) -> int:
    """Return an amount in units; raise KiteError (InputException) if it has more decimals than money."""
    try:
        return to_units(parse_money(value))
    except InvalidInput as error:
        raise bad_input(f"{name}: {error}") from error


def refuse_beyond_means(quantity: int, limit_units: int | None) -> None:
    """Refuse an order with a value too large for the ledger; raise KiteError (InputException)."""
    if quantity * (limit_units or 0) > MAX_VALUE_UNITS:
        raise bad_input("quantity: the order's value is too large for this broker")
