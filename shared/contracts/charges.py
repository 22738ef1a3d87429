"""Charges of trades: the lines of contract notes, and how a file of them is read."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.csv_lines import read_csv_lines
from shared.contracts.vocabulary import Charge, Leg
from shared.money import Money

MOST_NOTE_LINES: Final = 1000
"""Lines in one request."""


class ContractNoteLine(BaseModel):
    """One charge of a trade's leg, over all its orders, from a contract note."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    line: int = Field(ge=1, le=10**9, description="line of the file; errors name it")
    trade_id: UUID
    leg: Leg
    charge: Charge
    amount: Annotated[Money, Field(ge=Decimal(0), lt=Decimal(10) ** 13)]


COLUMNS: Final = ("trade_id", "leg", "charge", "amount")


def read_contract_note(lines: Iterable[str]) -> list[ContractNoteLine]:
    """Return the lines of a CSV file with the columns `COLUMNS`.

    Raises
    ------
    InvalidInput
        The header lacks a column, a line is not valid, or there is none; every wrong line is named.
    """
    return read_csv_lines(lines, ContractNoteLine, COLUMNS)
