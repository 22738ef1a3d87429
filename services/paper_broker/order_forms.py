"""Request forms for placing and modifying an order, validated as Kite does."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.paper_broker.kite_errors import bad_input
from services.paper_broker.orders import MAX_VALUE_UNITS, Order, OrderRequest, OrderType, Side
from shared.contracts.events import describe
from shared.contracts.trades import Symbol
from shared.errors import InvalidInput
from shared.money import parse_money, to_units

Exchange = Literal["NSE", "BSE", "NFO", "CDS", "BFO", "MCX", "BCD"]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,20}$")]
Amount = Annotated[Decimal, Field(ge=0, le=10**9)]
Protection = Annotated[Decimal, Field(ge=-1, le=100)]
Quantity = Annotated[int, Field(gt=0, le=10**9)]
_SYMBOL: TypeAdapter[str] = TypeAdapter(Symbol)

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
    product: Literal["CNC", "MIS", "NRML"]
    order_type: OrderType
    price: Amount = Decimal(0)
    validity: Literal["DAY"] = "DAY"
    market_protection: Protection = Decimal(0)
    tag: Tag | None = None


class ModifyForm(_Form):
    """Parameters of ``PUT /orders/regular/{order_id}``; omitted parameters stay unchanged."""

    quantity: Quantity | None = None
    price: Amount | None = None
    order_type: OrderType | None = None
    validity: Literal["DAY"] | None = None


def read_placement(form: Mapping[str, str]) -> OrderRequest:
    """Return the order requested by a form.

    Raises
    ------
    KiteError
        InputException, naming the parameter.
    """
    try:
        read = PlaceForm.model_validate(form)
        symbol = _SYMBOL.validate_python(f"{read.exchange}:{read.tradingsymbol}")
    except ValidationError as error:
        raise bad_input(describe(error)) from error
    if read.order_type == "MARKET" and read.market_protection == 0:
        raise bad_input(NO_PROTECTION)
    limit = _limit_units(read.order_type, read.price)
    _refuse_beyond_means(read.quantity, limit)
    return OrderRequest(
        symbol=symbol,
        side=read.transaction_type,
        product=read.product,
        order_type=read.order_type,
        validity=read.validity,
        quantity=read.quantity,
        limit_units=limit,
        protection_units=_units("market_protection", read.market_protection),
        tag=read.tag,
    )


def read_modification(form: Mapping[str, str]) -> ModifyForm:
    """Return the change requested by a form; raise KiteError (InputException) if the form is invalid."""
    try:
        return ModifyForm.model_validate(form)
    except ValidationError as error:
        raise bad_input(describe(error)) from error


def modified_terms(order: Order, form: ModifyForm) -> tuple[int, OrderType, int | None]:
    """Return quantity, type and limit of the order after the change.

    Raises
    ------
    KiteError
        InputException if these terms are invalid for the order.
    """
    order_type = form.order_type or order.order_type
    quantity = form.quantity or order.quantity
    if quantity <= order.filled_quantity:
        raise bad_input(f"Quantity cannot be less than or equal to the filled quantity {order.filled_quantity}.")
    kept_limit = order.limit_units if form.price is None else None
    limit = kept_limit if order_type == "LIMIT" and kept_limit else _limit_units(order_type, form.price or Decimal(0))
    _refuse_beyond_means(quantity, limit)
    return quantity, order_type, limit


def _limit_units(order_type: OrderType, price: Decimal) -> int | None:
    if order_type == "MARKET":
        return None
    if price == 0:
        raise bad_input("Price cannot be 0 for a LIMIT order.")
    return _units("price", price)


def _units(name: str, value: Decimal) -> int:
    try:
        return to_units(parse_money(value))
    except InvalidInput as error:
        raise bad_input(f"{name}: {error}") from error


def _refuse_beyond_means(quantity: int, limit_units: int | None) -> None:
    if quantity * (limit_units or 0) > MAX_VALUE_UNITS:
        raise bad_input("quantity: the order's value is beyond what this broker keeps")
