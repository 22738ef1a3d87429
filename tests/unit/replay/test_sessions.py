"""Replays with calendars: exits wait for an open session."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.exit_qualification.calendar_periods import period_of
from services.exit_qualification.domain.market_calendar import Calendars
from services.exit_qualification.domain.square_off import SquareOff
from services.replay.player import Terms, play
from services.replay.tape.recorded import RecordedTick
from tests.unit.exit_qualification.calendars import calendar
from tests.unit.replay.examples import OPENING, booked, tick

TERMS = Terms(square_off=SquareOff(calendars=Calendars([period_of(calendar())])))
EARLY: dict[str, Any] = {"entered_at": OPENING - timedelta(seconds=600)}


def exits(ticks: list[RecordedTick], terms: Terms = TERMS, **trade: Any) -> list[tuple[str, str, float]]:
    """Return reason, fill price and seconds since the opening of each exit."""
    return [
        (each.exit_reason.value, f"{each.fill_price:.2f}", (each.filled_at - OPENING).total_seconds())
        for each in play([booked(**EARLY, **trade)], ticks, terms).exits
    ]


@pytest.mark.parametrize(
    ("plan", "ticks", "expected"),
    [
        ({"stop_loss": "990"}, [tick(-60, 989), tick(-1, 1000), tick(0, 995)], [("STOP_LOSS", "995.00", 0)]),
        ({"target": "1010"}, [tick(-60, 1011), tick(0, 1012)], [("TARGET", "1012.00", 0)]),
        ({"target": "1010"}, [tick(-60, 1011), tick(0, 1000), tick(5, 1010)], [("TARGET", "1010.00", 5)]),
        ({"target": "1010"}, [tick(-60, 1011), tick(0, 1000)], []),
        ({"max_hold_s": 300}, [tick(-500, 1001), tick(-10, 1002), tick(1, 1003)], [("TIME", "1003.00", 1)]),
        (
            {"target": "1010", "stop_loss": "990"},
            [tick(-60, 1011), tick(-50, 989), tick(0, 1020), tick(1, 1021)],
            [("STOP_LOSS", "1020.00", 0)],
        ),
    ],
    ids=[
        "a stop waits",
        "a target holds",
        "a target comes back",
        "a target is gone",
        "time waits",
        "a stop goes first",
    ],
)
def test_an_exit_waits_for_an_open_session(
    plan: dict[str, Any], ticks: list[RecordedTick], expected: list[tuple[str, str, float]]
) -> None:
    assert exits(ticks, plan=plan) == expected


def test_without_a_calendar_no_exit_waits() -> None:
    assert exits([tick(-60, 989)], Terms(), plan={"stop_loss": "990"}) == [("STOP_LOSS", "989.00", -60)]


def test_a_late_order_counts_its_latency_from_the_session() -> None:
    late = Terms(square_off=TERMS.square_off, latency_ms=300)
    ticks = [tick(-60, 989), tick(0, 995), tick(0.2, 994), tick(1, 980)]
    assert exits(ticks, late, plan={"stop_loss": "990"}) == [("STOP_LOSS", "994.00", 0.3)]
