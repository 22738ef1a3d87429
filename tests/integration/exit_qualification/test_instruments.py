"""Instruments: loaded from the broker once a day or when asked, from files, and read as facts of the gates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from services.exit_qualification.domain.market_facts import InstrumentTerms
from services.exit_qualification.orders.instrument_refresh import FIRST_RETRY_S, RETRY_S, InstrumentRefresh, due_since
from services.exit_qualification.storage.instruments import InstrumentLoad, InstrumentRepository
from services.exit_qualification.storage.market_facts import MarketFactsRepository
from shared.clock import SystemClock
from shared.contracts.instruments import Instrument
from shared.contracts.topics import TopicNames
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.runtime.telemetry import REGISTRY
from tests.integration.exit_qualification.api.test_exit_api import client
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.signing import SIGNER

__all__ = ["client"]

INFY = InstrumentTerms(Decimal("0.05"), 1, None)


@pytest.fixture
def broker() -> ScriptedBroker:
    return ScriptedBroker()


@pytest.fixture
def refresh(exit_engine: Engine, broker: ScriptedBroker) -> InstrumentRefresh:
    clock = SystemClock()
    open_unit = partial(UnitOfWork, exit_engine, Outbox(TopicNames(""), clock, SIGNER))
    return InstrumentRefresh(open_unit, broker, clock)


def terms_of(engine: Engine, symbol: str) -> InstrumentTerms:
    with engine.connect() as connection:
        return MarketFactsRepository(connection).read([symbol])[symbol].instrument


def load_of(engine: Engine) -> InstrumentLoad:
    with engine.connect() as connection:
        return next(load for load in InstrumentRepository(connection).loads() if load.source == "kite")


def test_instruments_load_once_daily_and_show_their_age(exit_engine: Engine, refresh: InstrumentRefresh) -> None:
    assert terms_of(exit_engine, "NSE:INFY") == InstrumentTerms()
    refresh.refresh_once()
    assert terms_of(exit_engine, "NSE:INFY") == INFY
    first = load_of(exit_engine)
    assert (first.instruments, first.error) == (1, None)
    refresh.refresh_once()
    assert load_of(exit_engine).loaded_at == first.loaded_at
    age = REGISTRY.get_sample_value("exit_instruments_age_seconds", {"source": "kite"})
    assert age is not None
    with exit_engine.begin() as connection:
        yesterday = text("UPDATE instrument_loads SET loaded_at = :at, tried_at = :at")
        connection.execute(yesterday, {"at": datetime.now(UTC) - timedelta(days=1, minutes=1)})
    refresh.refresh_once()
    assert load_of(exit_engine).loaded_at > first.loaded_at  # type: ignore[operator]  # both are set


def test_a_failed_load_is_shown_and_not_repeated_at_once(
    exit_engine: Engine, refresh: InstrumentRefresh, broker: ScriptedBroker
) -> None:
    broker.is_down = True
    refresh.refresh_once()
    assert load_of(exit_engine).error == "instruments: down"
    broker.is_down = False
    refresh.refresh_once()
    assert load_of(exit_engine).loaded_at is None
    with exit_engine.begin() as connection:
        InstrumentRepository(connection).request_loads()
    refresh.refresh_once()
    assert (load_of(exit_engine).error, load_of(exit_engine).instruments) == (None, 1)


def test_a_first_load_is_tried_again_within_seconds(
    exit_engine: Engine, refresh: InstrumentRefresh, broker: ScriptedBroker
) -> None:
    """On a new installation this process may start before its broker; later failures are five minutes apart."""
    broker.is_down = True
    refresh.refresh_once()
    broker.is_down = False
    tried(exit_engine, ago_s=FIRST_RETRY_S + 1)
    refresh.refresh_once()
    assert (load_of(exit_engine).error, load_of(exit_engine).instruments) == (None, 1)
    first = load_of(exit_engine).loaded_at
    with exit_engine.begin() as connection:
        connection.execute(text("UPDATE instrument_loads SET loaded_at = loaded_at - interval '2 days'"))
    for ago_s, is_repeated in ((FIRST_RETRY_S + 1, False), (RETRY_S + 1, True)):
        tried(exit_engine, ago_s)
        refresh.refresh_once()
        assert (load_of(exit_engine).loaded_at > first) is is_repeated  # type: ignore[operator]  # both are set


def tried(engine: Engine, ago_s: float) -> None:
    """The last try is so long ago."""
    with engine.begin() as connection:
        at = {"at": datetime.now(UTC) - timedelta(seconds=ago_s)}
        connection.execute(text("UPDATE instrument_loads SET tried_at = :at"), at)


def test_field_omitted_from_file_keeps_stored_value(exit_engine: Engine) -> None:
    with exit_engine.begin() as connection:
        repository = InstrumentRepository(connection)
        repository.upsert([Instrument(symbol="NSE:INFY", tick_size=Decimal("0.05"), lot_size=1)])
        repository.upsert(
            [Instrument(symbol="NSE:INFY", freeze_quantity=5), Instrument(symbol="NSE:INFY", freeze_quantity=9)]
        )
        assert repository.get("NSE:INFY") == Instrument(
            symbol="NSE:INFY", tick_size=Decimal("0.05"), lot_size=1, freeze_quantity=9
        )
        written = connection.execute(text("SELECT updated_at FROM instruments")).scalar_one()
        repository.upsert([Instrument(symbol="NSE:INFY", lot_size=1)])
        assert connection.execute(text("SELECT updated_at FROM instruments")).scalar_one() == written


def test_instruments_are_put_shown_and_asked_for_over_http(client: TestClient) -> None:
    infy = {"symbol": "NSE:INFY", "freeze_quantity": 100}
    assert client.get("/instruments?symbol=NSE:INFY").status_code == 404
    assert client.put("/instruments", json={"instruments": [infy], "reason": "circular"}).status_code == 200
    assert client.get("/instruments?symbol=NSE:INFY").json()["freeze_quantity"] == 100
    asked = client.put("/instruments/refresh", json={"reason": "new contracts"}).json()
    assert [load["source"] for load in asked["items"] if load["requested_at"]] == ["kite"]
    assert client.get("/instruments/loads").json()["items"] == asked["items"]
    wrong = {"instruments": [infy | {"lot_size": -1}], "reason": "x"}
    assert client.put("/instruments", json=wrong).status_code == 422


def test_a_day_of_instruments_begins_at_half_past_eight() -> None:
    before, after = (datetime(2026, 1, 13, 2, 59, tzinfo=UTC), datetime(2026, 1, 13, 3, 0, tzinfo=UTC))
    assert due_since(before) == datetime(2026, 1, 12, 3, 0, tzinfo=UTC)
    assert due_since(after) == after
