"""Book: trades to replay, from JSON or CSV."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError

from services.replay.changes import Adjustment, Change, is_change, read_change
from services.trade_management.domain.trade import Trade, check_opening
from shared.clock import trading_day
from shared.contracts.csv_table import Row, read_csv
from shared.contracts.events import describe
from shared.contracts.exits import Quantity, Timestamp
from shared.contracts.trades import Symbol, UserBrokerId
from shared.contracts.vocabulary import Direction, ProductType, TradeStatus
from shared.errors import InvalidInput, unreadable
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.prices import Price
from shared.exit_rules.registry import RULES
from shared.exit_rules.rule import PlanOption
from shared.instants import EPOCH, epoch_ms

_FACTS: Final = ("symbol", "direction", "product_type", "quantity", "entry_price", "user_broker_id", "entered_at")
_CLOSING: Final = frozenset({"closed_at", "exit_intent_id"})
"""Fields to tell the payload of a closure by; closures happen in the replay."""


class BookLine(BaseModel):
    """Trade in the form of `POST /trades`, with its id; further fields of `GET /trades` are ignored.

    Attributes
    ----------
    arrived_at:
        Arrival of its event at the engine; by default, of its entry.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    symbol: Symbol
    direction: Direction
    product_type: ProductType = ProductType.MIS
    quantity: Quantity
    entry_price: Price
    user_broker_id: UserBrokerId = "paper"
    exit_plan: ExitPlan | None = None
    entered_at: Timestamp | None = None
    trade_id: UUID | None = None
    arrived_at: Timestamp | None = None


class PlanFile(BaseModel):
    """Exit plan alone, or in a body with `exit_plan`."""

    exit_plan: ExitPlan


@dataclass(frozen=True, slots=True)
class BookedTrade:
    """Trade to replay, with its plan.

    Attributes
    ----------
    at_first_tick:
        Whether it is entered at the first tick of its symbol; `trade` has no time of entry then.
    arrived_ms:
        Arrival at the engine in milliseconds since 1970; None for the time of its entry.
    changes:
        Later plans and corporate actions, in order of their versions.
    """

    trade: Trade
    plan: ExitPlan
    at_first_tick: bool = False
    arrived_ms: int | None = None
    changes: tuple[Change, ...] = ()

    @property
    def judged_from_ms(self) -> int:
        """Return when its evaluation begins, in milliseconds since 1970."""
        return epoch_ms(self.trade.entered_at) if self.arrived_ms is None else self.arrived_ms

    @property
    def symbols(self) -> list[str]:
        """Return its symbols, one after the other; a corporate action may rename it."""
        renamed = [each.told.new_symbol for each in self.changes if isinstance(each, Adjustment)]
        return [self.trade.symbol, *renamed]

    def with_plan(self, plan: ExitPlan) -> BookedTrade:
        """Return the trade with another plan, never changed; InvalidInput if the plan contradicts the trade."""
        return checked(replace(self, plan=plan, changes=()))

    def entered_by(self, at_ms: int) -> BookedTrade:
        """Return the trade with a time of entry: the given one, in milliseconds since 1970, if it has none."""
        if not self.at_first_tick:
            return self
        at = EPOCH + timedelta(milliseconds=at_ms)
        trade = msgspec.structs.replace(self.trade, entered_at=at, entered_on=trading_day(at))
        return replace(self, trade=trade, at_first_tick=False)


def read_book(file: Path, plan: ExitPlan | None = None) -> list[BookedTrade]:
    """Return the trades of a file, each with `plan` if it is given.

    JSON: a list of trades, or an object with the list as `items`; or JSON lines, payloads of `trades.v1` too.
    An event told again counts once. Anything else is CSV, with a column for each field and each option of a plan, as
    ``target``, ``trailing_stop.amount`` or ``trail-amount``.

    Raises
    ------
    InvalidInput
        The file cannot be read, a trade is not valid, or its plan contradicts it.
    """
    return booked_trades(_lines(file), str(file), plan)


def booked_trades(lines: Sequence[Any], where: str, plan: ExitPlan | None = None) -> list[BookedTrade]:
    """Return the trades of lines of a book, as `read_book` does; `where` begins the messages of its errors."""
    trades: dict[UUID, BookedTrade] = {}
    for number, fields in enumerate(lines, 1):
        kind = fields.keys() if isinstance(fields, dict) else frozenset()
        if is_change(kind):
            _change(where, number, fields, trades, kept=plan is None)
        elif not (kind >= _CLOSING and "status" not in kind):
            booked = _booked(where, number, fields, plan)
            known = trades.setdefault(booked.trade.trade_id, booked)
            if (known.trade, known.plan) != (booked.trade, booked.plan):
                raise InvalidInput(f"{where} has two trades {booked.trade.trade_id}")
    if not trades:
        raise InvalidInput(f"{where} has no trades")
    return list(trades.values())


def read_plan(file: Path) -> ExitPlan:
    """Return the exit plan in a JSON file; InvalidInput if it has none."""
    told = _json(file, _text(file))
    try:
        if isinstance(told, dict) and "exit_plan" in told:
            return PlanFile.model_validate(told).exit_plan
        return ExitPlan.model_validate(told)
    except ValidationError as error:
        raise InvalidInput(f"{file} is not an exit plan: {describe(error)}") from error


def checked(booked: BookedTrade) -> BookedTrade:
    """Return a trade fit to be opened, the legs of its plan sized; InvalidInput if its plan does not fit it."""
    booked = replace(booked, plan=booked.plan.sized(booked.trade.quantity))
    try:
        check_opening(booked.trade, booked.plan, booked.trade.entered_at)
    except InvalidInput as error:
        raise InvalidInput(f"trade {booked.trade.trade_id} of {booked.trade.symbol}: {error}") from error
    return booked


def _change(where: str, number: int, fields: Any, trades: dict[UUID, BookedTrade], *, kept: bool) -> None:
    """Add a change to its trade, unless one plan for all replaced every plan."""
    try:
        trade_id, change = read_change(fields)
    except ValidationError as error:
        raise InvalidInput(f"{where}: trade {number}: {describe(error)}") from error
    booked = trades.get(trade_id)
    if booked is None:
        raise InvalidInput(f"{where}: trade {trade_id} changes, but was not opened before")
    if kept or isinstance(change, Adjustment):
        trades[trade_id] = replace(booked, changes=(*booked.changes, change))


def _booked(where: str, number: int, fields: Any, plan: ExitPlan | None) -> BookedTrade:
    try:
        line = BookLine.model_validate(fields)
    except ValidationError as error:
        raise InvalidInput(f"{where}: trade {number}: {describe(error)}") from error
    chosen = plan or line.exit_plan
    if chosen is None:
        raise InvalidInput(f"{where}: trade {number} has no exit_plan; give it one, or all of them one with --plan")
    entered_at = line.entered_at or EPOCH
    facts = {name: getattr(line, name) for name in _FACTS} | {"entered_at": entered_at}
    trade = Trade(
        **facts,
        trade_id=line.trade_id or UUID(int=number),
        open_quantity=line.quantity,
        entered_on=trading_day(entered_at),
        status=TradeStatus.OPEN,
    )
    arrived_ms = None if line.arrived_at is None else epoch_ms(line.arrived_at)
    return checked(BookedTrade(trade, chosen, at_first_tick=line.entered_at is None, arrived_ms=arrived_ms))


def _lines(file: Path) -> Sequence[Any]:
    text = _text(file)
    start = text.lstrip()[:1]
    if start == "[":
        found = _json(file, text)
    elif start == "{":
        found = _json_objects(file, text)
    else:
        found = list(_csv_lines(file, text))
    if not isinstance(found, list):
        raise InvalidInput(f"{file} is not a list of trades")
    return found


def _json_objects(file: Path, text: str) -> Any:
    try:
        whole = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return [_json(file, line) for line in text.splitlines() if line.strip()]
    return whole.get("items", [whole])


def _csv_lines(file: Path, text: str) -> Iterator[dict[str, Any]]:
    try:
        table = read_csv(io.StringIO(text, newline=""))
    except InvalidInput as error:
        raise InvalidInput(f"{file}: {error}, e.g. symbol,direction,quantity,entry_price,stop_loss") from error
    options = _plan_columns()
    for name in table.names or ():
        if name not in BookLine.model_fields and name not in options:
            known = ", ".join([*BookLine.model_fields, *options])
            raise InvalidInput(f"{file}: column {name!r} is not known; the columns are {known}")
    for row in table.rows:
        try:
            yield _trade_of(row, options)
        except ValueError as error:
            raise InvalidInput(f"{file}: line {row.line}: {error}") from error


def _trade_of(row: Row, options: Mapping[str, PlanOption]) -> dict[str, Any]:
    """Return the JSON of a line's trade; ValueError if it has none."""
    if row.error is not None:
        raise ValueError(row.error)
    fields: dict[str, Any] = {name: value for name, value in row.fields.items() if name in BookLine.model_fields}
    plan = _plan_of(options, row.fields)
    return fields | {"exit_plan": plan} if plan else fields


def _plan_columns() -> dict[str, PlanOption]:
    options = [option for rule in RULES for option in rule.options]
    return {name: option for option in options for name in (".".join(option.path), option.flag)}


def _plan_of(options: Mapping[str, PlanOption], given: Mapping[str, str]) -> dict[str, Any]:
    plan: dict[str, Any] = {}
    for name, option in options.items():
        if name in given:
            place = plan
            for step in option.path[:-1]:
                place = place.setdefault(step, {})
            place[option.path[-1]] = given[name] if option.read is None else option.read(given[name])
    return plan


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(file, error) from error


def _json(file: Path, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"{file} is not JSON: {error}") from error
