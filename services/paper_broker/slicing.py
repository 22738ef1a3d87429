"""Freeze quantity: the most of one order at the exchange, and slices of orders beyond it. Pure."""

from __future__ import annotations

from services.paper_broker.kite_errors import bad_input

MOST_SLICES = 10


def refuse_frozen(quantity: int, freeze_quantity: int) -> None:
    """Refuse an order beyond the freeze quantity, 0 for none; raise KiteError (InputException)."""
    if freeze_quantity and quantity > freeze_quantity:
        raise bad_input(f"Quantity {quantity} is beyond the freeze quantity of {freeze_quantity}.")


def slices(quantity: int, freeze_quantity: int) -> list[int]:
    """Return the quantities of the slices of an order.

    Raises
    ------
    KiteError
        InputException: these are more than the exchange takes.
    """
    size = freeze_quantity or quantity
    if -(-quantity // size) > MOST_SLICES:
        raise bad_input(f"An order has at most {MOST_SLICES} slices of {size}.")
    return [min(size, quantity - begin) for begin in range(0, quantity, size)]
