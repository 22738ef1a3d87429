"""Exits of a burst are qualified once for all with equal facts: every fact of the gates tells them apart."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest

from services.exit_qualification.domain.candidates import BrickCount, ExitCandidate
from services.exit_qualification.domain.gates.gate_input import GateInput
from services.exit_qualification.domain.market_facts import NO_FACTS
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.switches import Rollout, Switches
from services.exit_qualification.exit_book import ExitBook
from services.exit_qualification.signal_management_service import _Chosen, _facts, _gate_input
from services.exit_qualification.storage.open_trades import TradeProjection
from shared.contracts.vocabulary import (
    Direction,
    ExitReason,
    KillSwitchMode,
    ProductType,
    RolloutMode,
    TradeStatus,
)
from tests.unit.exit_qualification.examples import NOON, open_trade

TRADE = open_trade()
CANDIDATE = ExitCandidate(TRADE.trade_id, TRADE.symbol, ExitReason.TARGET, 1010_0000, 1, 1010_0000, 1, BrickCount(1, 1))
SWITCHES = Switches(KillSwitchMode.OFF, Rollout(RolloutMode.FULL), {})
OTHER: dict[str, Any] = {
    "trade_id": UUID(int=2),
    "symbol": "NSE:TCS",
    "direction": Direction.SHORT,
    "quantity": 101,
    "product_type": ProductType.CNC,
    "user_broker_id": "other",
    "exit_reason": ExitReason.STOP_LOSS,
    "detected_price": 1011_0000,
    "leg": 2,
    "bricks": BrickCount(1, 2),
}
"""Another value of each fact of the gates."""
KEYS = frozenset({"trade_id", "leg_quantities"})
"""Find facts of the book, and are none of the exit."""


@dataclass
class Noted:
    """An object with a list of its fields read."""

    thing: Any
    read: set[str] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self.thing, name)


def book_of(trade: OpenTrade | Noted, *, filled: int = 0, of_leg: int = 0) -> ExitBook:
    """The facts of one trade."""
    known = {TRADE.trade_id: TradeProjection(trade, TradeStatus.OPEN)}  # type: ignore[arg-type]  # noted
    return ExitBook(known, {}, {TRADE.trade_id: filled}, {CANDIDATE.rule_key: of_leg}, {}, NOON)


def gates_get(item: _Chosen, book: ExitBook) -> GateInput:
    """The input of the gates."""
    return _gate_input(item, book, [], SWITCHES, NO_FACTS)


def fields_read() -> tuple[set[str], set[str]]:
    """The fields of a trade and of a candidate behind the gates' input."""
    trade, candidate = Noted(TRADE), Noted(CANDIDATE)
    gates_get(_Chosen(candidate, 1), book_of(trade))  # type: ignore[arg-type]  # noted
    return trade.read - KEYS, candidate.read - KEYS - {"rule_key"}


def changed(thing: Any, name: str) -> Any:
    return (
        thing._replace(**{name: OTHER[name]}) if isinstance(thing, OpenTrade) else replace(thing, **{name: OTHER[name]})
    )


def test_every_trade_fact_for_gates_tells_exits_apart() -> None:
    plain, item = _facts(_Chosen(CANDIDATE, 1), book_of(TRADE)), _Chosen(CANDIDATE, 1)
    names, _ = fields_read()
    assert {"symbol", "quantity"} <= names
    same = {name for name in names if _facts(item, book_of(changed(TRADE, name))) == plain}
    assert same == set(), "add them to _facts"


def test_every_candidate_fact_for_gates_tells_exits_apart() -> None:
    book = book_of(TRADE)
    plain = _facts(_Chosen(CANDIDATE, 1), book)
    _, names = fields_read()
    assert {"exit_reason", "bricks"} <= names
    same = {name for name in names if _facts(_Chosen(changed(CANDIDATE, name), 1), book) == plain}
    assert same == set(), "add them to _facts"


@pytest.mark.parametrize("others", [{"filled": 1}, {"of_leg": 1}])
def test_every_book_fact_for_gates_tells_exits_apart(others: dict[str, int]) -> None:
    item = _Chosen(CANDIDATE, 1)
    before, after = book_of(TRADE), book_of(TRADE, **others)
    assert gates_get(item, before) != gates_get(item, after)
    assert _facts(item, before) != _facts(item, after)


def test_an_episode_tells_exits_apart() -> None:
    book = book_of(TRADE)
    assert _facts(_Chosen(CANDIDATE, 1), book) != _facts(_Chosen(CANDIDATE, 2), book)
