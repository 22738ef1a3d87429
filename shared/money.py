"""Money and prices: Decimal at the edges, integers of 1/10,000 inside the engine, never float.

Amounts from outside are bounded in length, then in exponent, before any arithmetic: neither a million digits nor
``1e1000000`` costs more than a comparison.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from math import isfinite
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from shared.errors import InvalidInput

SCALE = 10_000
"""Units per rupee; NUMERIC(18,4) holds exactly this."""

LONGEST_AMOUNT: Final = 64
"""Characters of an amount's text."""

MOST_DIGITS: Final = 14
"""Digits before the decimal point."""

_STEP = Decimal("0.0001")
_PAISA = Decimal("0.01")
_RUPEE = Decimal("1")
_NOTHING = Decimal("0.0000")
_INT_LIMIT: Final = 10**MOST_DIGITS
_FLOAT_LIMIT: Final = 1e11
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_PLAIN: Final = re.compile(r"([0-9]{1,11})(?:\.([0-9]{1,4}))?")

Amount = str | int | float | Decimal
"""Forms of an amount on arrival. A float stands for its shortest decimal text."""


def parse_money(amount: Amount) -> Decimal:
    """Return a finite amount with at most four decimals and 14 digits before them.

    Raises
    ------
    InvalidInput
        Not a number, not finite, too large or with more decimals than are kept.
    """
    value = _bounded(amount)
    kept = value.quantize(_STEP, ROUND_HALF_UP)
    if kept != value:
        raise InvalidInput("an amount has at most four decimals")
    return kept or _NOTHING


def parse_market_price(amount: Amount) -> Decimal:
    """Parse a market feed's price, rounded half up to four decimals.

    Feeds compute prices as floats and send ``1520.3500000000001`` for 1520.35.

    Raises
    ------
    InvalidInput
        Not a number, not finite or too large.
    """
    kept = _bounded(amount).quantize(_STEP, ROUND_HALF_UP)
    if kept.adjusted() >= MOST_DIGITS:
        raise InvalidInput(f"an amount has at most {MOST_DIGITS} digits before its decimals")
    return kept or _NOTHING


def market_units(amount: Amount) -> int:
    """Return a market price as a whole number of 1/10,000; plain text is read without a Decimal.

    Raises
    ------
    InvalidInput
        As of `parse_market_price`.
    """
    text = repr(amount) if isinstance(amount, float) else amount
    plain = _PLAIN.fullmatch(text) if isinstance(text, str) else None
    if plain is None:
        return to_units(parse_market_price(amount))
    whole, decimals = plain.groups("")
    return int(whole) * SCALE + int(decimals.ljust(4, "0"))


def _bounded(amount: Amount) -> Decimal:
    """Return a finite value below 10^14, read without arithmetic on anything larger."""
    if isinstance(amount, int):
        if isinstance(amount, bool) or not -_INT_LIMIT < amount < _INT_LIMIT:
            raise InvalidInput(f"not an amount of at most {MOST_DIGITS} digits")
        return Decimal(amount)
    value = amount if isinstance(amount, Decimal) else _from_text(amount)
    if not value.is_finite() or value.adjusted() >= MOST_DIGITS:
        raise InvalidInput(f"an amount is finite and has at most {MOST_DIGITS} digits before its decimals")
    return value


def _from_text(amount: str | float) -> Decimal:
    if isinstance(amount, float) and isfinite(amount) and not -_FLOAT_LIMIT < amount < _FLOAT_LIMIT:
        # Of more than 15 significant digits a float keeps others than were sent.
        raise InvalidInput("an amount of 100000000000 or more is exact as text only")
    text = repr(amount) if isinstance(amount, float) else amount
    if not isinstance(text, str) or len(text) > LONGEST_AMOUNT or not _NUMBER.fullmatch(text):
        raise InvalidInput(f"not an amount of at most {LONGEST_AMOUNT} characters, such as 1234.50")
    return Decimal(text)


def to_units(value: Decimal) -> int:
    """Return an amount as a whole number of 1/10,000; exact, for anything `parse_money` accepts."""
    return int(value.scaleb(4))


def from_units(units: int) -> Decimal:
    """Convert a whole number of 1/10,000 to an amount."""
    return Decimal(units).scaleb(-4)


def to_paisa(value: Decimal) -> Decimal:
    """Round half up to two decimals."""
    return value.quantize(_PAISA, ROUND_HALF_UP)


def to_rupee(value: Decimal) -> Decimal:
    """Round half up to a whole rupee, with two decimals."""
    return value.quantize(_RUPEE, ROUND_HALF_UP).quantize(_PAISA)


def to_price(value: Decimal) -> Decimal:
    """Round half up to the four decimals of a price."""
    return value.quantize(_STEP, ROUND_HALF_UP)


def money_text(value: Decimal) -> str:
    """Format an amount for the wire: a plain decimal with at least two decimals, ``1010.00`` or ``1010.0525``."""
    text = str(value.quantize(_STEP))
    return text[:-2] if text.endswith("00") else text.rstrip("0")


def _validated(value: Amount) -> Decimal:
    try:
        return parse_money(value)
    except InvalidInput as error:
        raise ValueError(str(error)) from error


def _validated_price(value: Amount) -> Decimal:
    try:
        return parse_market_price(value)
    except InvalidInput as error:
        raise ValueError(str(error)) from error


_WIRE_SCHEMA = {"type": "string", "pattern": r"^-?[0-9]{1,14}(\.[0-9]{1,4})?$", "examples": ["1010.00"]}

Money = Annotated[
    Decimal,
    BeforeValidator(_validated),
    PlainSerializer(money_text, return_type=str),
    WithJsonSchema(_WIRE_SCHEMA),
]
"""A pydantic field type: a Decimal inside, a decimal string on the wire."""

MarketMoney = Annotated[
    Decimal,
    BeforeValidator(_validated_price),
    PlainSerializer(money_text, return_type=str),
    WithJsonSchema(_WIRE_SCHEMA),
]
"""A pydantic field type: as `Money`, but further decimals are rounded, as feeds of floats need it."""
