"""Calendars in the database: the phase agrees with the domain, a load is audited, tick workers take it up."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from services.exit_qualification.calendar_periods import period_of
from services.exit_qualification.domain.market_calendar import ZONE, Calendars
from services.exit_qualification.storage.market_calendars import CalendarRepository
from services.exit_qualification.storage.market_facts import MarketFactsRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from shared.contracts.calendars import MarketCalendar
from shared.contracts.vocabulary import MarketPhase
from shared.postgres.audit import Act
from tests.integration.exit_qualification.api.test_exit_api import client
from tests.unit.exit_qualification.calendars import DATES, calendar, calendars

__all__ = ["client"]

ACT = Act("ops-desk", "2026")
PHASE = text("""
SELECT exchange, phase FROM (
  SELECT DISTINCT ON (exchange) exchange, market_phase(c, :local) AS phase FROM market_calendars c
   WHERE valid_from <= CAST(:local AS date) AND coalesce(valid_to >= CAST(:local AS date), true)
   ORDER BY exchange, valid_from DESC) AS found
""")


def phase_by_sql(connection: Connection, exchange: str, local: datetime) -> MarketPhase | None:
    found = {row.exchange: row.phase for row in connection.execute(PHASE, {"local": local})}
    phase = found.get(exchange) or found.get("*")
    return None if phase is None else MarketPhase(phase)


def test_the_phase_of_the_database_is_that_of_the_domain(exit_engine: Engine) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(calendars(), max_size=3, unique_by=lambda it: (it.exchange, it.valid_from)), DATES, st.times())
    def agree(given_calendars: list[MarketCalendar], day: date, clock: time) -> None:
        with exit_engine.connect() as connection:
            if given_calendars:
                CalendarRepository(connection).put(given_calendars, ACT)
            local = datetime.combine(day, clock)
            domain = Calendars(map(period_of, given_calendars)).phase("NSE", local.replace(tzinfo=ZONE))
            assert phase_by_sql(connection, "NSE", local) is domain
            assert CalendarRepository(connection).calendars().phase("NSE", local.replace(tzinfo=ZONE)) is domain

    agree()


def test_facts_are_of_the_exchange_and_else_of_any_exchange(exit_engine: Engine) -> None:
    day = (datetime.now(ZONE) - timedelta(days=1)).date()
    always = {"weekdays": list(range(1, 8)), "days": [], "valid_from": day, "valid_to": None}
    closed = calendar(**always, sessions=[])
    opened = calendar(**always, exchange="*", sessions=[{"opens": "00:00", "closes": "24:00"}])
    with exit_engine.connect() as connection:
        facts = MarketFactsRepository(connection)
        assert facts.read(["NSE:INFY"])["NSE:INFY"].phase is None
        CalendarRepository(connection).put([closed, opened], ACT)
        found = facts.read(["NSE:INFY", "MCX:GOLD", "NSE:INFY"])
        assert {symbol: it.phase for symbol, it in found.items()} == {
            "NSE:INFY": MarketPhase.CLOSED,
            "MCX:GOLD": MarketPhase.OPEN,
        }


def test_a_changed_calendar_fences_every_partition_and_is_audited(exit_engine: Engine) -> None:
    with exit_engine.connect() as connection:
        checkpoints = TickCheckpointRepository(connection)
        claimed = checkpoints.claim([0, 1], "worker")
        repository = CalendarRepository(connection)
        assert [it.change for it in repository.put([calendar()], ACT)] == ["ADDED"]
        assert {it.epoch for it in checkpoints.stored().values()} == {claimed[0].epoch + 1}
        assert [it.change for it in repository.put([calendar(weekdays=[5, 4, 3, 2, 1])], ACT)] == ["UNCHANGED"]
        assert [it.change for it in repository.put([calendar(days=[])], ACT)] == ["CHANGED"]
        assert {it.epoch for it in checkpoints.stored().values()} == {claimed[0].epoch + 2}
        told = connection.execute(text("SELECT action, subject FROM audit_log WHERE action = 'calendar.put'")).all()
    assert [tuple(row) for row in told] == [("calendar.put", "NSE 2026-01-01")] * 2


@pytest.fixture
def body() -> dict[str, Any]:
    return {"calendars": [json.loads(calendar().model_dump_json())], "reason": "2026"}


def test_calendars_are_loaded_and_shown_over_http(client: TestClient, body: dict[str, Any]) -> None:
    added = [{"exchange": "NSE", "valid_from": "2026-01-01", "change": "ADDED"}]
    assert client.put("/calendars?dry_run=true", json=body).json() == {"dry_run": True, "changes": added}
    assert client.get("/calendars").json() == {"items": []}
    assert client.put("/calendars", json=body).json() == {"dry_run": False, "changes": added}
    assert client.get("/calendars").json() == {"items": body["calendars"]}
    muhurat = client.get("/calendars/day?exchange=NSE&date=2026-11-08").json()
    assert (muhurat["name"], muhurat["is_trading_day"]) == ("Muhurat", True)
    assert muhurat["sessions"] == [{"phase": "OPEN", "opens": "18:00:00", "closes": "19:00:00"}]
    assert muhurat["square_off"] == {"MIS": "18:45:00"}
    assert client.get("/calendars/day?exchange=NSE&date=2026-01-26").json()["is_trading_day"] is False
    assert client.get("/calendars/day?exchange=NSE&date=2028-01-26").json()["calendar"] is None
    body["calendars"][0]["sessions"].append({"opens": "10:00", "closes": "11:00"})
    assert client.put("/calendars", json=body).status_code == 422
