"""Money and prices: Decimal at the edges, integers of 1/10,000 inside the engine, never float."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Annotated

from pydantic import AfterValidator, PlainSerializer, WithJsonSchema

from shared.errors import InvalidInput

SCALE = 10_000
"""Units per rupee; NUMERIC(18,4) holds exactly this."""

_STEP = Decimal("0.0001")
_PAISA = Decimal("0.01")
_RUPEE = Decimal("1")
_LIMIT = Decimal(10) ** 14


def parse_money(text: str | int | Decimal) -> Decimal:
    """A finite amount with at most four decimals and 14 digits before them.

    Raises
    ------
    InvalidInput
        Not a number, not finite, too large or with more decimals than are kept.
    """
    try:
        value = Decimal(text)
    except (InvalidOperation, ValueError, TypeError) as error:
        raise InvalidInput(f"not an amount: {text!r}") from error
    return _checked(value)


def _checked(value: Decimal) -> Decimal:
    if not value.is_finite() or abs(value) >= _LIMIT:
        raise InvalidInput(f"not an amount that can be kept: {value}")
    kept = value.quantize(_STEP)
    if kept != value:
        raise InvalidInput(f"more than four decimals: {value}")
    return kept


def to_units(value: Decimal) -> int:
    """An amount as a whole number of 1/10,000; exact, for anything `parse_money` accepts."""
    return int(value.scaleb(4))


def from_units(units: int) -> Decimal:
    """The amount that a whole number of 1/10,000 stands for."""
    return Decimal(units).scaleb(-4)


def to_paisa(value: Decimal) -> Decimal:
    """Rounded half up to two decimals."""
    return value.quantize(_PAISA, ROUND_HALF_UP)


def to_rupee(value: Decimal) -> Decimal:
    """Rounded half up to a whole rupee, kept with two decimals."""
    return value.quantize(_RUPEE, ROUND_HALF_UP).quantize(_PAISA)


def to_price(value: Decimal) -> Decimal:
    """Rounded half up to the four decimals that a price is kept with."""
    return value.quantize(_STEP, ROUND_HALF_UP)


def money_text(value: Decimal) -> str:
    """The wire form: a plain decimal string with at least two decimals, ``1010.00`` or ``1010.0525``."""
    kept = value.quantize(_STEP).normalize()
    exponent = kept.as_tuple().exponent
    if isinstance(exponent, int) and exponent > -2:
        kept = kept.quantize(_PAISA)
    return format(kept, "f")


def _validated(value: Decimal) -> Decimal:
    try:
        return _checked(value)
    except InvalidInput as error:
        raise ValueError(str(error)) from error


_WIRE_SCHEMA = {"type": "string", "pattern": r"^-?[0-9]{1,14}(\.[0-9]{1,4})?$", "examples": ["1010.00"]}

Money = Annotated[
    Decimal,
    AfterValidator(_validated),
    PlainSerializer(money_text, return_type=str),
    WithJsonSchema(_WIRE_SCHEMA),
]
"""A pydantic field type: a Decimal inside, a decimal string on the wire."""
