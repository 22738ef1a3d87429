"""Open sessions of a symbol by the calendar of its exchange."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.market_calendar import ZONE, CalendarPeriod, Calendars, DayPlan, Session
from services.exit_qualification.domain.open_hours import hours_of
from shared.contracts.vocabulary import ExitReason, MarketPhase
from shared.instants import epoch_us
from tests.unit.exit_qualification.examples import open_trade

INFY = "NSE:INFY"
HOUR = 3600
PHASES = (
    Session(MarketPhase.PRE_OPEN, 9 * HOUR, 9 * HOUR + 900),
    Session(MarketPhase.OPEN, 9 * HOUR + 900, 12 * HOUR),
    Session(MarketPhase.OPEN, 12 * HOUR, 13 * HOUR),
    Session(MarketPhase.OPEN, 14 * HOUR, 15 * HOUR + 1800),
)
NSE = CalendarPeriod("NSE", date(2026, 1, 1), None, frozenset({1, 2, 3, 4, 5}), DayPlan(PHASES), {}, 3000)
HOURS = hours_of(Calendars([NSE]))


def at(text: str) -> int:
    """A time of 13 January 2026 in Asia/Kolkata, a Tuesday."""
    return epoch_us(datetime.fromisoformat(f"2026-01-13T{text}").replace(tzinfo=ZONE))


@pytest.mark.parametrize(
    ("time", "session"),
    [
        ("08:59:59", None),
        ("09:14:59.999999", None),
        ("09:15:00", ("09:15:00", "13:00:00")),
        ("12:00:00", ("09:15:00", "13:00:00")),
        ("13:00:00", None),
        ("14:00:00", ("14:00:00", "15:30:00")),
        ("15:30:00", None),
    ],
)
def test_a_session_lasts_from_break_to_break(time: str, session: tuple[str, str] | None) -> None:
    assert HOURS(INFY)(at(time)) == (None if session is None else tuple(map(at, session)))


def test_without_a_calendar_a_day_is_a_session() -> None:
    midnight = at("00:00:00")
    assert HOURS("MCX:GOLD26FEBFUT")(at("03:00:00")) == (midnight, midnight + 86_400_000_000)


def test_the_pre_open_and_its_gap_form_no_bricks() -> None:
    engine = ExitSignalService(hours=HOURS)
    engine.add_trade(open_trade(target=None, stop_loss=None, bricks={"size": "2", "reversal": 2}))
    exits = [
        engine.on_tick(INFY, 990_0000, at(time), number, 0).candidates
        for number, time in enumerate(["09:05:00", "09:07:00", "09:14:00", "09:15:00", "09:15:01"])
    ]
    assert exits[:4] == [()] * 4
    ((found,),) = [each.candidates for each in exits[4]]
    assert found.exit_reason is ExitReason.BRICK_REVERSAL
