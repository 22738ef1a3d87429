"""The JSON of events with fills. The contract's own classes refuse the same, in four times the time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final
from uuid import UUID

from msgspec import DecodeError, Meta, Struct, ValidationError
from msgspec.json import Decoder

from shared.contracts import exits
from shared.contracts.vocabulary import Direction, ExitReason
from shared.errors import InvalidInput, MalformedMessage
from shared.money import parse_money

Instant = Annotated[datetime, Meta(tz=True)]
Amount = str | int | float


class ReportedFill(Struct, frozen=True, gc=False):
    """One execution at the broker; `price` as it was written."""

    broker_order_id: str
    broker_trade_id: str
    quantity: Annotated[int, Meta(gt=0, le=10**12)]
    price: Amount
    filled_at: Instant


class FillEvent(Struct, frozen=True, gc=False, kw_only=True):
    """Fields of every event with fills, as `ExitIntentEvent` has them."""

    trade_id: UUID
    intent_id: UUID
    signal_id: UUID
    user_broker_id: str
    symbol: str
    direction: Direction
    exit_reason: ExitReason
    episode_id: int
    leg: Annotated[int, Meta(ge=1, le=100)] | None = None
    quantity: int
    filled_quantity: int = 0
    average_price: Amount | None = None
    client_order_id: str
    broker_order_id: str | None = None
    executable: bool = True
    placed_at: Instant | None = None
    occurred_at: Instant
    fills: list[ReportedFill]


class Filled(FillEvent, frozen=True, gc=False, kw_only=True):
    """`ExitIntentFilled`."""

    average_price: Amount
    broker_order_id: str
    placed_at: Instant
    filled_at: Instant
    time_to_fill_ms: int


class Cancelled(FillEvent, frozen=True, gc=False, kw_only=True):
    """`ExitIntentCancelled`."""

    reason: str
    fills: list[ReportedFill] = []


_DECODERS: Final[Mapping[str, Decoder[FillEvent]]] = {
    exits.ExitIntentPartiallyFilled.event_type(): Decoder(FillEvent),
    exits.ExitIntentFilled.event_type(): Decoder(Filled),
    exits.ExitIntentCancelled.event_type(): Decoder(Cancelled),
    exits.ExitIntentLateFill.event_type(): Decoder(FillEvent),
}
FILL_TYPES: Final = frozenset(_DECODERS)


def read_fill_event(event_type: str, value: bytes | str | None) -> FillEvent:
    """Return the event of one of the `FILL_TYPES`.

    Raises
    ------
    MalformedMessage
        The value is not that event. Names the field, never shows the value.
    """
    text = value.encode() if isinstance(value, str) else value or b""
    try:
        if not text.isascii():
            text.decode()  # the decoder skips unknown fields without looking at their text
        event = _DECODERS[event_type].decode(text)
    except ValidationError as error:
        raise MalformedMessage(f"{event_type}: {_without_value(str(error))}") from error
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"{event_type}: not JSON: {error}") from error
    _check(event)
    return event


def amount(told: Amount, field: str) -> Decimal:
    """Return an amount in rupees, or raise MalformedMessage."""
    try:
        return parse_money(told)
    except InvalidInput as error:
        raise MalformedMessage(f"{field}: {error}") from error


def _check(event: FillEvent) -> None:
    """Judge what is not for closures too: a record that breaks the contract is not believed in part."""
    instants = [event.occurred_at, event.placed_at, *[fill.filled_at for fill in event.fills]]
    if isinstance(event, Filled):
        instants.append(event.filled_at)
    for instant in instants:
        if instant is not None and not 1970 <= instant.year < 2200:
            raise MalformedMessage("a time is not between 1970 and 2199")
    if event.average_price is not None:
        amount(event.average_price, "average_price")


def _without_value(problem: str) -> str:
    """Return a problem as the decoder tells it, without the text that is no member of an enumeration."""
    what, _, where = problem.rpartition(" - at ")
    return f"invalid enum value - at {where}" if what.startswith("Invalid enum value") else problem
