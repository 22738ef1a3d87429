"""Charges of trades: the lines of contract notes, and how a file of them is read."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.contracts.events import describe
from shared.contracts.vocabulary import Charge, Leg
from shared.errors import InvalidInput
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
    reader = csv.DictReader(lines)
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise InvalidInput(f"the header lacks {', '.join(missing)}; use {','.join(COLUMNS)}")
    found, wrong = [], []
    for row in reader:
        try:
            values = {name: (row[name] or "").strip() for name in COLUMNS}
            found.append(ContractNoteLine.model_validate({"line": reader.line_num, **values}))
        except ValidationError as error:
            wrong.append(f"line {reader.line_num}: {describe(error)}")
    if wrong:
        raise InvalidInput("; ".join(wrong))
    if not found:
        raise InvalidInput("there is no line after the header")
    return found
