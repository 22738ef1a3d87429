"""Repository of market calendars; every change is audited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, text

from services.exit_qualification.calendar_periods import period_of
from services.exit_qualification.domain.market_calendar import Calendars
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from shared.contracts.calendars import MarketCalendar
from shared.postgres.audit import Act, audit
from shared.postgres.hot_path import Answer, ask, fetch

_COLUMNS = ("exchange", "valid_from", "valid_to", "weekdays", "sessions", "square_off", "days", "tick_fresh_ms")
ALL = text(f"""
-- market_calendars.all
SELECT {", ".join(_COLUMNS)}
  FROM market_calendars
 ORDER BY exchange, valid_from
""")  # noqa: S608  # our own columns
PUT = text("""
-- market_calendars.put
INSERT INTO market_calendars (exchange, valid_from, valid_to, weekdays, sessions, square_off, days, tick_fresh_ms,
                              loaded_by)
VALUES (:exchange, :valid_from, :valid_to, :weekdays, :sessions, :square_off, :days, :tick_fresh_ms, :loaded_by)
ON CONFLICT (exchange, valid_from) DO UPDATE
   SET valid_to = EXCLUDED.valid_to, weekdays = EXCLUDED.weekdays, sessions = EXCLUDED.sessions,
       square_off = EXCLUDED.square_off, days = EXCLUDED.days, tick_fresh_ms = EXCLUDED.tick_fresh_ms,
       loaded_by = EXCLUDED.loaded_by, loaded_at = clock_timestamp()
""")
LOCK = text("LOCK TABLE market_calendars IN SHARE ROW EXCLUSIVE MODE")


class Change(StrEnum):
    """Effect of loading one calendar."""

    ADDED = "ADDED"
    CHANGED = "CHANGED"
    UNCHANGED = "UNCHANGED"


@dataclass(frozen=True, slots=True)
class CalendarChange:
    """Effect of loading a calendar, identified by exchange and first day."""

    exchange: str
    valid_from: date
    change: Change


class CalendarRepository:
    """Market calendars of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def stored(self) -> list[MarketCalendar]:
        """Return every calendar, by exchange and first day."""
        return _stored(fetch(self._connection, ALL, {}))

    def calendars(self) -> Calendars:
        """Return every calendar as the domain uses it."""
        return self.ask_calendars().get()

    def ask_calendars(self) -> Answer[Calendars]:
        """Ask for the result of `calendars`."""
        return ask(self._connection, ALL, {}, lambda rows: Calendars(map(period_of, _stored(rows))))

    def put(self, calendars: Sequence[MarketCalendar], act: Act) -> list[CalendarChange]:
        """Add or replace calendars; others stay. Tick workers load the new hours.

        Their partitions are fenced in this transaction: each square-off time is derived again.
        """
        self._connection.execute(LOCK)
        known = {(each.exchange, each.valid_from): each for each in self.stored()}
        changes = []
        for calendar in calendars:
            before = known.get((calendar.exchange, calendar.valid_from))
            change = _change(before, calendar)
            changes.append(CalendarChange(calendar.exchange, calendar.valid_from, change))
            if change is not Change.UNCHANGED:
                self._connection.execute(PUT, _row(calendar) | {"loaded_by": act.actor})
                subject = f"{calendar.exchange} {calendar.valid_from}"
                old = None if before is None else before.model_dump(mode="json")
                audit(self._connection, act, "calendar.put", subject, old, calendar.model_dump(mode="json"))
        if any(each.change is not Change.UNCHANGED for each in changes):
            checkpoints = TickCheckpointRepository(self._connection)
            checkpoints.lock_all()
            checkpoints.fence_all()
        return changes


def _change(before: MarketCalendar | None, after: MarketCalendar) -> Change:
    if before is None:
        return Change.ADDED
    return Change.UNCHANGED if _row(before, of_json=repr) == _row(after, of_json=repr) else Change.CHANGED


def _row(calendar: MarketCalendar, of_json: Any = Jsonb) -> dict[str, Any]:
    """Return the columns of a calendar in one canonical order."""
    shape = calendar.model_dump(mode="json")
    days = {
        day["date"]: {
            "name": day["name"],
            "sessions": _in_order(day["sessions"]),
            "square_off": dict(sorted(day["square_off"].items())),
        }
        for day in sorted(shape["days"], key=lambda day: day["date"])
    }
    return {
        "exchange": calendar.exchange,
        "valid_from": calendar.valid_from,
        "valid_to": calendar.valid_to,
        "weekdays": sorted(calendar.weekdays),
        "sessions": of_json(_in_order(shape["sessions"])),
        "square_off": of_json(dict(sorted(shape["square_off"].items()))),
        "days": of_json(days),
        "tick_fresh_ms": calendar.tick_fresh_ms,
    }


def _in_order(sessions: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(sessions, key=lambda session: session["opens"])


def _stored(rows: Sequence[tuple[Any, ...]]) -> list[MarketCalendar]:
    return [_calendar(dict(zip(_COLUMNS, row, strict=True))) for row in rows]


def _calendar(row: Mapping[str, Any]) -> MarketCalendar:
    days = [{"date": day, **plan} for day, plan in row["days"].items()]
    return MarketCalendar.model_validate({**row, "days": days})
