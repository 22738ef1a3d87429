"""Book: trades to replay, from JSON or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError

from services.trade_management.domain.trade import Trade, check_opening
from shared.clock import EPOCH, trading_day
from shared.contracts.events import describe
from shared.contracts.exits import Quantity, Timestamp
from shared.contracts.trades import Symbol, UserBrokerId
from shared.contracts.vocabulary import Direction, ProductType, TradeStatus
from shared.errors import InvalidInput
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.prices import Price
from shared.exit_rules.registry import RULES
from shared.exit_rules.rule import PlanOption

_FACTS: Final = ("symbol", "direction", "product_type", "quantity", "entry_price", "user_broker_id", "entered_at")


class BookLine(BaseModel):
    """Trade as `POST /trades` takes it, with its id; fields that `GET /trades` adds are ignored."""

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
    """

    trade: Trade
    plan: ExitPlan
    at_first_tick: bool = False

    def with_plan(self, plan: ExitPlan) -> BookedTrade:
        """Return the trade with another plan; InvalidInput if the plan contradicts the trade."""
        return checked(replace(self, plan=plan))

    def entered_by(self, at_ms: int) -> BookedTrade:
        """Return the trade with a time of entry: the given one, in milliseconds since 1970, if it has none."""
        if not self.at_first_tick:
            return self
        at = EPOCH + timedelta(milliseconds=at_ms)
        return replace(self, trade=replace(self.trade, entered_at=at, entered_on=trading_day(at)), at_first_tick=False)


def read_book(file: Path, plan: ExitPlan | None = None) -> list[BookedTrade]:
    """Return the trades of a file, each with `plan` if it is given.

    JSON: a list of trades, or an object with the list as `items`; or JSON lines. Anything else is CSV, with a column
    for each field and each option of a plan, as ``target``, ``trailing_stop.amount`` or ``trail-amount``.

    Raises
    ------
    InvalidInput
        The file cannot be read, a trade is not valid, or its plan contradicts it.
    """
    trades = [_booked(file, number, fields, plan) for number, fields in enumerate(_lines(file), 1)]
    if not trades:
        raise InvalidInput(f"{file} has no trades")
    known: set[UUID] = set()
    for each in trades:
        if each.trade.trade_id in known:
            raise InvalidInput(f"{file} has trade {each.trade.trade_id} twice")
        known.add(each.trade.trade_id)
    return trades


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
    """Return a trade that could be opened with its plan; otherwise raise InvalidInput."""
    try:
        check_opening(booked.trade, booked.plan, booked.trade.entered_at)
    except InvalidInput as error:
        raise InvalidInput(f"trade {booked.trade.trade_id} of {booked.trade.symbol}: {error}") from error
    return booked


def _booked(file: Path, number: int, fields: Any, plan: ExitPlan | None) -> BookedTrade:
    try:
        line = BookLine.model_validate(fields)
    except ValidationError as error:
        raise InvalidInput(f"{file}: trade {number}: {describe(error)}") from error
    chosen = plan or line.exit_plan
    if chosen is None:
        raise InvalidInput(f"{file}: trade {number} has no exit_plan; give it one, or all of them one with --plan")
    entered_at = line.entered_at or EPOCH
    facts = {name: getattr(line, name) for name in _FACTS} | {"entered_at": entered_at}
    trade = Trade(
        **facts,
        trade_id=line.trade_id or UUID(int=number),
        open_quantity=line.quantity,
        entered_on=trading_day(entered_at),
        status=TradeStatus.OPEN,
    )
    return checked(BookedTrade(trade, chosen, at_first_tick=line.entered_at is None))


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
    except msgspec.DecodeError:
        return [_json(file, line) for line in text.splitlines() if line.strip()]
    return whole.get("items", [whole])


def _csv_lines(file: Path, text: str) -> Iterator[dict[str, Any]]:
    header = text.splitlines()[0] if text else ""
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if header.count(";") > header.count(",") else ",")
    options = _plan_columns()
    for name in reader.fieldnames or ():
        if name not in BookLine.model_fields and name not in options:
            known = ", ".join([*BookLine.model_fields, *options])
            raise InvalidInput(f"{file}: column {name!r} is not known; the columns are {known}")
    for row in reader:
        given = {name: value for name, value in row.items() if name is not None and value}
        fields: dict[str, Any] = {name: value for name, value in given.items() if name in BookLine.model_fields}
        if plan := _plan_of(options, given):
            fields["exit_plan"] = plan
        yield fields


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
            place[option.path[-1]] = given[name]
    return plan


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}") from error


def _json(file: Path, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"{file} is not JSON: {error}") from error
