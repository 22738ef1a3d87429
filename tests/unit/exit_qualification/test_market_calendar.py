"""Phases, holidays, muhurat trading and square-off times by calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.cli.support.calendar_files import read_calendars
from services.exit_qualification.calendar_periods import period_of
from services.exit_qualification.domain.market_calendar import ZONE, Calendars
from services.exit_qualification.domain.square_off import SquareOff
from shared.contracts.calendars import MarketCalendar
from shared.contracts.vocabulary import MarketPhase, ProductType
from shared.instants import epoch_ms
from tests.unit.exit_qualification.calendars import MUHURAT, REGULAR, calendar

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "calendars-2026.toml"
TUESDAY, FRIDAY, SUNDAY = "2026-01-13", "2026-01-16", "2026-01-18"


def calendars(*given: MarketCalendar) -> Calendars:
    return Calendars(map(period_of, given or [calendar()]))


def at(day: str, clock: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time.fromisoformat(clock), ZONE)


@pytest.mark.parametrize(
    ("day", "clock", "phase"),
    [
        (TUESDAY, "08:59:59", MarketPhase.CLOSED),
        (TUESDAY, "09:00", MarketPhase.PRE_OPEN),
        (TUESDAY, "09:15", MarketPhase.OPEN),
        (TUESDAY, "15:29:59", MarketPhase.OPEN),
        (TUESDAY, "15:30", MarketPhase.CLOSED),
        (SUNDAY, "12:00", MarketPhase.CLOSED),
        ("2026-01-26", "12:00", MarketPhase.CLOSED),
        ("2026-11-08", "12:00", MarketPhase.CLOSED),
        ("2026-11-08", "18:30", MarketPhase.OPEN),
        ("2027-01-04", "12:00", None),
    ],
)
def test_the_phase_follows_sessions_holidays_and_special_days(day: str, clock: str, phase: MarketPhase | None) -> None:
    assert calendars().phase("NSE", at(day, clock)) is phase


def test_exchange_without_day_calendar_uses_that_of_any_exchange() -> None:
    always = calendar(
        exchange="*", valid_from="2025-01-01", valid_to=None, weekdays=list(range(1, 8)), days=[],
        sessions=[{"opens": "00:00", "closes": "24:00"}],
    )  # fmt: skip
    known = calendars(calendar(), always)
    assert known.phase("MCX", at(SUNDAY, "23:59:59")) is MarketPhase.OPEN
    assert known.phase("NSE", at(SUNDAY, "12:00")) is MarketPhase.CLOSED
    assert known.phase("NSE", at("2027-01-03", "12:00")) is MarketPhase.OPEN


def test_the_calendar_with_the_latest_first_day_counts() -> None:
    shorter = calendar(
        valid_from="2026-06-01", valid_to="2026-06-30", days=[], sessions=[{"opens": "10:00", "closes": "11:00"}]
    )
    known = calendars(shorter, calendar())
    phases = [known.phase("NSE", at(day, "14:00")) for day in ("2026-05-29", "2026-06-01", "2026-07-01")]
    assert phases == [MarketPhase.OPEN, MarketPhase.CLOSED, MarketPhase.OPEN]


@pytest.mark.parametrize(
    ("entered", "square_off"),
    [
        ((TUESDAY, "09:15"), (TUESDAY, "15:15")),
        ((FRIDAY, "15:15"), ("2026-01-19", "15:15")),
        (("2026-01-23", "15:20"), ("2026-01-27", "15:15")),
        (("2026-11-08", "18:10"), ("2026-11-08", "18:45")),
    ],
)
def test_square_off_is_the_calendars_and_skips_closed_days(
    entered: tuple[str, str], square_off: tuple[str, str]
) -> None:
    found = SquareOff({ProductType.MIS: time(15, 20)}, calendars()).after_entry_ms(
        "NSE:INFY", ProductType.MIS, epoch_ms(at(*entered))
    )
    assert found == epoch_ms(at(*square_off))


def test_setting_gives_square_off_time_where_calendar_gives_none() -> None:
    by_setting = SquareOff({ProductType.MIS: time(15, 20)}, calendars(calendar(square_off={}, days=[])))
    for symbol in ("NSE:INFY", "MCX:GOLD26FEBFUT"):
        found = by_setting.after_entry_ms(symbol, ProductType.MIS, epoch_ms(at(TUESDAY, "10:00")))
        assert found == epoch_ms(at(TUESDAY, "15:20"))
    assert by_setting.after_entry_ms("NSE:INFY", ProductType.CNC, epoch_ms(at(TUESDAY, "10:00"))) is None
    never_open = calendars(calendar(valid_from="2026-01-01", valid_to=None, weekdays=[], days=[]))
    entered = epoch_ms(at("9999-12-20", "10:00"))
    assert (
        SquareOff({ProductType.MIS: time(15, 20)}, never_open).after_entry_ms("NSE:X", ProductType.MIS, entered) is None
    )


hours = st.lists(st.integers(0, 24 * 12), min_size=2, max_size=8, unique=True).map(sorted)


@given(
    hours=hours,
    phases=st.lists(st.sampled_from(["OPEN", "PRE_OPEN", "CLOSING"]), min_size=4, max_size=4),
    at_=st.times(),
)
def test_default_square_off_lies_within_a_session(hours: list[int], phases: list[str], at_: time) -> None:
    """The default of a short day, or of muhurat trading in the evening, may be a time at which nothing can exit."""
    edges = [f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (each * 5 for each in hours)]
    sessions = [
        {"phase": phase, "opens": opens, "closes": closes}
        for phase, (opens, closes) in zip(phases, zip(edges[::2], edges[1::2], strict=False), strict=False)
    ]
    known = calendars(calendar(square_off={}, sessions=sessions, weekdays=[1, 2, 3, 4, 5, 6, 7], days=[]))
    found = SquareOff({ProductType.MIS: at_.replace(microsecond=0)}, known).after_entry_ms(
        "NSE:INFY", ProductType.MIS, epoch_ms(at("2026-01-12", "23:59:59"))
    )
    is_open = any(each["phase"] == "OPEN" for each in sessions)
    assert (found is not None) is is_open
    if found is not None:
        assert known.phase("NSE", datetime.fromtimestamp(found / 1000, UTC)) is MarketPhase.OPEN
        assert found < epoch_ms(at("2026-01-14", "00:00"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"sessions": [{"opens": "15:30", "closes": "09:15"}]},
        {"sessions": [{"opens": "9:15", "closes": "15:30"}]},
        {"sessions": [{"opens": "09:15", "closes": "24:01"}]},
        {"sessions": [*REGULAR, {"opens": "15:00", "closes": "16:00"}]},
        {"sessions": [{"phase": "CLOSED", "opens": "09:15", "closes": "15:30"}]},
        {"valid_to": "2025-12-31"},
        {"weekdays": [1, 1]},
        {"weekdays": [8]},
        {"days": [MUHURAT, MUHURAT]},
        {"days": [MUHURAT | {"date": "2027-11-08"}]},
        {"square_off": {"BO": "15:15"}},
        {"exchange": "nse"},
        {"holidays": []},
    ],
    ids=str,
)
def test_a_calendar_that_contradicts_itself_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        calendar(**wrong)


def test_the_example_has_the_regular_sessions_of_2026() -> None:
    known = calendars(*read_calendars(EXAMPLE).calendars)
    phases = {exchange: known.phase(exchange, at(TUESDAY, "15:29")) for exchange in ("NSE", "BSE", "MCX")}
    assert set(phases.values()) == {MarketPhase.OPEN}
    closes = [known.phase("MCX", at(day, "23:40")) for day in (TUESDAY, "2026-06-09", "2026-12-08")]
    assert closes == [MarketPhase.OPEN, MarketPhase.CLOSED, MarketPhase.OPEN]
