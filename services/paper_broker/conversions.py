"""Conversions of positions from one product to another. Pure; the form is validated as Kite does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from services.paper_broker.kite_errors import bad_input
from services.paper_broker.order_forms import Exchange, Product, Quantity, read_symbol
from services.paper_broker.orders import Side
from services.paper_broker.positions import Position, Turnover, turnover_of
from shared.contracts.events import describe


class Conversion(BaseModel):
    """Parameters of ``PUT /portfolio/positions``; `transaction_type` is the side of the open position."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    exchange: Exchange
    tradingsymbol: str
    transaction_type: Side
    position_type: Literal["day", "overnight"]
    quantity: Quantity
    old_product: Product
    new_product: Product

    @property
    def symbol(self) -> str:
        """Return ``EXCHANGE:TRADINGSYMBOL``."""
        return f"{self.exchange}:{self.tradingsymbol}"

    @property
    def is_of_today(self) -> bool:
        """Return whether the quantity was opened today."""
        return self.position_type == "day"


def read_conversion(form: Mapping[str, str]) -> Conversion:
    """Return the conversion requested by a form; raise KiteError (InputException) if it is invalid."""
    try:
        read = Conversion.model_validate(form)
        read_symbol(read.exchange, read.tradingsymbol)
    except ValidationError as error:
        raise bad_input(describe(error)) from error
    if read.old_product == read.new_product:
        raise bad_input("`old_product` and `new_product` are the same.")
    return read


def converted(held: Iterable[Position], wanted: Conversion) -> Turnover:
    """Return the turnover to move.

    Raises
    ------
    KiteError
        InputException: less is open.
    """
    sign = 1 if wanted.transaction_type == "BUY" else -1
    for position in held:
        if (position.symbol, position.product) == (wanted.symbol, wanted.old_product):
            part = position.today if wanted.is_of_today else position.overnight
            if part.net_quantity * sign >= wanted.quantity:
                return turnover_of(sign * wanted.quantity, part.open_average)
    raise bad_input(f"The {wanted.position_type} position of {wanted.symbol} is smaller than {wanted.quantity}.")
