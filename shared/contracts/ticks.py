"""The one record that is not a CloudEvent: a market tick."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.contracts.events import describe
from shared.contracts.exits import Timestamp
from shared.contracts.trades import Price, Symbol
from shared.errors import MalformedMessage


class Tick(BaseModel):
    """The last traded price of a symbol. `(ts, seq)` orders the ticks of a symbol."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    symbol: Symbol
    ltp: Price
    ts: Timestamp
    seq: int = Field(0, ge=0, lt=2**63)


def parse_tick(value: bytes | None) -> Tick:
    """The tick in a record's value.

    Raises
    ------
    MalformedMessage
        Not JSON, a field missing or out of range; a price of zero or less is malformed too.
    """
    try:
        return Tick.model_validate_json(value or b"")
    except ValidationError as error:
        raise MalformedMessage(f"tick: {describe(error)}") from error
