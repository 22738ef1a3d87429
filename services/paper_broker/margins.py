"""Margins of orders, a simple model: a share of the order's value by product. Pure.

Charges are not computed: trade management estimates them.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.paper_broker.kite_errors import bad_input
from services.paper_broker.kite_format import Json
from services.paper_broker.order_forms import Amount, Exchange, Product, Quantity
from services.paper_broker.orders import OrderType, Side
from shared.contracts.events import describe

MOST_ORDERS = 200
LEVERAGE = {"CNC": 1, "MIS": 5, "NRML": 5}
DERIVATIVES = frozenset({"NFO", "BFO", "CDS", "BCD", "MCX"})
_COMPONENTS = ("span", "exposure", "option_premium", "additional", "bo", "cash", "var")
_CHARGES = (
    "transaction_tax",
    "exchange_turnover_charge",
    "sebi_turnover_charge",
    "brokerage",
    "stamp_duty",
    "total",
)


class MarginOrder(BaseModel):
    """Order whose margin is asked for; its price is the last one if it has none."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    exchange: Exchange
    tradingsymbol: str
    transaction_type: Side
    variety: str = "regular"
    product: Product
    order_type: OrderType
    quantity: Quantity
    price: Amount = Decimal(0)
    average_price: Amount = Decimal(0)
    order_id: str = ""

    @property
    def symbol(self) -> str:
        """Return ``EXCHANGE:TRADINGSYMBOL``."""
        return f"{self.exchange}:{self.tradingsymbol}"


_ORDERS: TypeAdapter[list[MarginOrder]] = TypeAdapter(
    Annotated[list[MarginOrder], Field(min_length=1, max_length=MOST_ORDERS)]
)


def read_margin_orders(body: bytes) -> list[MarginOrder]:
    """Return the orders of a JSON body; raise KiteError (InputException) if it is invalid."""
    try:
        return _ORDERS.validate_json(body)
    except ValidationError as error:
        raise bad_input(describe(error)) from error


def leverage_of(symbol: str, side: Side, product: str) -> int:
    """Return how much more than its margin an order is worth: a bought option is paid whole."""
    return 1 if _is_premium(symbol, side) else LEVERAGE[product]


def _is_derivative(symbol: str) -> bool:
    return symbol.partition(":")[0] in DERIVATIVES


def _is_premium(symbol: str, side: Side) -> bool:
    return side == "BUY" and _is_derivative(symbol) and symbol.endswith(("CE", "PE"))


def order_margin(order: MarginOrder, last: Decimal) -> Json:
    """Return the margin of an order: SPAN of a derivative, VaR of a share, premium of a bought option."""
    symbol, side = order.symbol, order.transaction_type
    value = order.quantity * (order.price or last)
    leverage = leverage_of(symbol, side, order.product)
    held_as = "option_premium" if _is_premium(symbol, side) else "span" if _is_derivative(symbol) else "var"
    total = round(float(value) / leverage, 2)
    return {
        "type": "commodity" if order.exchange == "MCX" else "equity",
        "tradingsymbol": order.tradingsymbol,
        "exchange": order.exchange,
        **dict.fromkeys(_COMPONENTS, 0),
        held_as: total,
        "pnl": {"realised": 0, "unrealised": 0},
        "leverage": leverage,
        "charges": charges(),
        "total": total,
    }


def basket(margins: Sequence[Json], *, is_compact: bool) -> Json:
    """Return the margins of orders together; nothing is saved by spreads."""
    totals = {name: round(sum(it[name] for it in margins), 2) for name in (*_COMPONENTS, "total")}
    whole = {"type": "", "tradingsymbol": "", "exchange": "", **totals, "pnl": {"realised": 0, "unrealised": 0}}
    whole |= {"leverage": 0, "charges": charges()}
    return {"initial": whole, "final": whole, "orders": [] if is_compact else list(margins), "charges": charges()}


def contract_note(order: MarginOrder) -> Json:
    """Return an order with its charges, in the format of a virtual contract note."""
    return {
        "transaction_type": order.transaction_type,
        "tradingsymbol": order.tradingsymbol,
        "exchange": order.exchange,
        "variety": order.variety,
        "product": order.product,
        "order_type": order.order_type,
        "quantity": order.quantity,
        "price": float(order.average_price),
        "charges": charges(),
    }


def charges() -> Json:
    """Return charges of nothing."""
    gst = dict.fromkeys(("igst", "cgst", "sgst", "total"), 0)
    return {**dict.fromkeys(_CHARGES, 0), "transaction_tax_type": "stt", "gst": gst}
