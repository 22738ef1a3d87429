"""The looks for late fills: the lately ended orders of all accounts often, the whole day account by account."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.orders.reconciling.late_fill_watch import (
    SPREAD,
    WHOLE_DAY,
    DayRound,
    EndedOrders,
    LateFillWatch,
)
from services.exit_qualification.storage.order_queues import OrderQueues
from services.exit_qualification.storage.protective_stops import ProtectiveStopRepository
from tests.unit.exit_qualification.examples import NOON, intent
from tests.unit.exit_qualification.orders.example_terms import TERMS

MINUTE = timedelta(minutes=1)
NO_CONNECTION = cast(Connection, None)


def ended_of(*accounts: str) -> list[ExitIntent]:
    """Return an ended exit of each account; the id tells the place."""
    return [intent(user_broker_id=name, intent_id=UUID(int=nth + 1)) for nth, name in enumerate(accounts)]


def names_of(orders: EndedOrders) -> list[str]:
    """Return the accounts with orders to look up."""
    return sorted({each.user_broker_id for each in orders.exits} | orders.fills_today.keys())


@given(st.integers(0, 40), st.lists(st.floats(0, 2), max_size=20), st.floats(0, 120))
def test_each_account_has_one_turn_in_time(accounts: int, times: Sequence[float], lasts_s: float) -> None:
    names = [f"a{n:02}" for n in range(accounts)]
    round_ = DayRound(EndedOrders(ended_of(*names)), NOON, timedelta(seconds=lasts_s))
    told: list[str] = []
    for part in sorted(times):
        told += names_of(round_.due(NOON + timedelta(seconds=part * lasts_s)))
        assert len(told) >= min(1.0, part) * accounts - 0.01
        assert len(told) <= part * accounts + 1.01 or lasts_s < 0.01
    told += names_of(round_.due(NOON + timedelta(seconds=lasts_s)))
    assert told == names


def test_an_account_has_its_exits_and_its_fills_together() -> None:
    ended = EndedOrders(ended_of("b", "a", "b"), fills_today={"b": 3, "c": 1})
    parts = ended.by_account()
    assert list(parts) == ["a", "b", "c"]
    assert (len(parts["b"].exits), parts["b"].fills_today) == (2, {"b": 3})


def test_orders_of_two_looks_are_looked_up_once() -> None:
    first, second = ended_of("a", "b")
    found = EndedOrders([first])
    found.take(EndedOrders([read_again(first), second]))
    assert found.exits == [first, second]


def read_again(ended: ExitIntent) -> ExitIntent:
    """Return the same exit, read again."""
    return intent(user_broker_id=ended.user_broker_id, intent_id=ended.intent_id, version=ended.version + 1)


class Stored:
    """The database's answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.of_day: list[ExitIntent] = []
        self.lately: list[ExitIntent] = []
        self.fills: dict[str, int] = {}
        monkeypatch.setattr(OrderQueues, "ended_today", self._ended)
        monkeypatch.setattr(OrderQueues, "fills_today", self._fills)
        monkeypatch.setattr(ProtectiveStopRepository, "ended_today", self._no_stops)

    def _ended(self, _: Any, within: timedelta) -> list[ExitIntent]:
        return list(self.of_day if within == WHOLE_DAY else self.lately)

    def _fills(self, _: date) -> dict[str, int]:
        return dict(self.fills)

    def _no_stops(self, _: Any, __: timedelta) -> list[Any]:
        return []


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stored]:
    yield Stored(monkeypatch)


def test_the_first_look_concerns_the_whole_day_of_all_accounts(stored: Stored) -> None:
    stored.of_day = ended_of("a", "b", "c")
    assert names_of(LateFillWatch(TERMS).look(NO_CONNECTION, NOON)) == ["a", "b", "c"]


def test_later_looks_at_the_day_take_the_accounts_in_turn(stored: Stored) -> None:
    watch = LateFillWatch(TERMS)
    watch.look(NO_CONNECTION, NOON)
    accounts = [f"a{n:02}" for n in range(30)]
    stored.fills = dict.fromkeys(accounts, 1)
    seen: list[str] = []
    for second in range(60, 120):
        now_seen = names_of(watch.look(NO_CONNECTION, NOON + timedelta(seconds=second)))
        assert len(now_seen) <= 1, "the books of many accounts at once hold up the senders"
        for name in now_seen:
            watch.note_compared(name, 1)
        seen += now_seen
    assert seen == accounts
    assert len(seen) / 60 < 1 / SPREAD
    assert not watch.look(NO_CONNECTION, NOON + timedelta(seconds=121)), "all fills were compared"


def test_lately_ended_orders_are_looked_up_meanwhile(stored: Stored) -> None:
    watch = LateFillWatch(TERMS)
    watch.look(NO_CONNECTION, NOON)
    stored.of_day = ended_of(*(f"a{n:02}" for n in range(30)))
    stored.lately = [intent(user_broker_id="new", intent_id=UUID(int=1000))]
    looks = [watch.look(NO_CONNECTION, NOON + MINUTE + timedelta(seconds=second)) for second in (0, 1, 2, 3)]
    assert ["new" in names_of(each) for each in looks] == [True, False, True, False]


def test_without_an_interval_the_day_is_looked_at_each_time(stored: Stored) -> None:
    watch = LateFillWatch(replace(TERMS, late_watch_all=timedelta()))
    stored.of_day = ended_of("a", "b")
    assert [names_of(watch.look(NO_CONNECTION, NOON)) for _ in range(2)] == [["a", "b"]] * 2
