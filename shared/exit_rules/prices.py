"""The price types of exit plans."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from shared.money import Money

Price = Annotated[Money, Field(gt=Decimal(0))]
"""Rupees above zero."""

PriceDifference = Annotated[Money, Field(gt=Decimal(0))]
"""The distance between two prices, in rupees above zero."""
