"""Corporate actions: splits, bonus issues and renamed symbols, and how a file of them is read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from shared.contracts.csv_lines import read_csv_lines
from shared.contracts.exits import Timestamp
from shared.contracts.trades import Symbol
from shared.contracts.vocabulary import CorporateActionKind
from shared.exit_rules.scale import Scale

COLUMNS: Final = ("kind", "symbol", "ratio", "new_symbol", "effective_at")
MOST_ACTIONS: Final = 100
"""Actions in one request."""

_RATIO: Final = re.compile(r"([1-9][0-9]{0,5}):([1-9][0-9]{0,5})")


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


class CorporateAction(BaseModel):
    """Split of `ratio` old:new shares, bonus issue of `ratio` new:held shares, or a symbol renamed to `new_symbol`.

    It changes the trades entered before `effective_at`, now by default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    line: int = Field(1, ge=1, le=10**9, description="line of the file; errors name it")
    kind: CorporateActionKind
    symbol: Symbol
    ratio: Annotated[
        Annotated[str, Field(pattern=_RATIO.pattern, examples=["1:10"])] | None, BeforeValidator(_none_if_empty)
    ] = None
    new_symbol: Annotated[Symbol | None, BeforeValidator(_none_if_empty)] = None
    effective_at: Annotated[Timestamp | None, BeforeValidator(_none_if_empty)] = None

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if self.kind is CorporateActionKind.RENAME:
            if self.new_symbol is None or self.ratio is not None or self.new_symbol == self.symbol:
                raise ValueError("RENAME needs another symbol in `new_symbol`, and no `ratio`")
        elif self.ratio is None or self.new_symbol is not None:
            raise ValueError(f"{self.kind} needs `ratio`, and no `new_symbol`")
        return self

    @property
    def scale(self) -> Scale:
        """Return the change of shares: a bonus issue keeps the held ones."""
        if self.ratio is None:
            return Scale()
        first, second = map(int, self.ratio.split(":"))
        return Scale(first, second) if self.kind is CorporateActionKind.SPLIT else Scale(second, first + second)

    @property
    def symbol_after(self) -> str:
        """Return the symbol from the action on."""
        return self.new_symbol or self.symbol


def read_corporate_actions(lines: Iterable[str]) -> list[CorporateAction]:
    """Return the actions of a CSV file with the columns `COLUMNS`; the last three may be left out.

    Raises
    ------
    InvalidInput
        The header lacks a column, a line is not valid, or there is none; every wrong line is named.
    """
    return read_csv_lines(lines, CorporateAction, COLUMNS, optional=3)
