"""Market calendars for tests."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import strategies as st

from shared.contracts.calendars import MarketCalendar
from shared.contracts.vocabulary import MarketPhase

REGULAR = [
    {"phase": "PRE_OPEN", "opens": "09:00", "closes": "09:15"},
    {"phase": "OPEN", "opens": "09:15", "closes": "15:30"},
]
MUHURAT = {
    "date": "2026-11-08",
    "name": "Muhurat",
    "sessions": [{"opens": "18:00", "closes": "19:00"}],
    "square_off": {"MIS": "18:45"},
}


def calendar(**changes: Any) -> MarketCalendar:
    """NSE in 2026: weekdays from 9:15 to 15:30, 26 January closed, muhurat trading on Sunday 8 November."""
    plain = {
        "exchange": "NSE",
        "valid_from": "2026-01-01",
        "valid_to": "2026-12-31",
        "sessions": REGULAR,
        "square_off": {"MIS": "15:15"},
        "days": [{"date": "2026-01-26", "name": "Republic Day"}, MUHURAT],
    }
    return MarketCalendar.model_validate(plain | changes)


def _text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def _sessions(draw: st.DrawFn) -> list[dict[str, str]]:
    cuts = sorted(draw(st.sets(st.integers(0, 24 * 60), min_size=0, max_size=6)))
    phases = st.sampled_from([phase for phase in MarketPhase if phase is not MarketPhase.CLOSED])
    return [
        {"phase": draw(phases), "opens": _text(opens), "closes": _text(closes)}
        for opens, closes in zip(cuts[::2], cuts[1::2], strict=False)
    ]


DATES = st.dates(date(2026, 1, 1), date(2026, 1, 14))


@st.composite
def calendars(draw: st.DrawFn) -> MarketCalendar:
    """Any calendar of two exchanges in two weeks."""
    first, last = sorted((draw(DATES), draw(DATES)))
    dates = draw(st.sets(st.dates(first, last), max_size=3))
    return MarketCalendar.model_validate(
        {
            "exchange": draw(st.sampled_from(["NSE", "*"])),
            "valid_from": first,
            "valid_to": draw(st.sampled_from([None, last])),
            "weekdays": sorted(draw(st.sets(st.integers(1, 7)))),
            "sessions": draw(_sessions()),
            "days": [{"date": day, "name": "special", "sessions": draw(_sessions())} for day in sorted(dates)],
        }
    )
