"""Statements of exit-orders while there is nothing to do."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from unittest.mock import Mock

import pytest
from sqlalchemy import Engine

from services.exit_qualification.domain.market_facts import Quote
from services.exit_qualification.orders import process
from services.exit_qualification.orders.activity import Activity
from services.exit_qualification.orders.brokers.port import BrokerUnavailable
from services.exit_qualification.orders.context import OrderContext
from services.exit_qualification.orders.skipped_trades import SkippedTrades
from services.exit_qualification.orders.terms import order_terms
from services.exit_qualification.orders.work_loop import WorkLoop
from services.exit_qualification.storage.market_quotes import QuoteRepository
from shared.contracts.topics import TopicNames
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.postgres.engine import look
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings
from tests.support.signing import SIGNER
from tests.support.statements import sent_statements
from tests.unit.outbox_relay.clock import StandingClock

SECONDS = 10
MOST_PER_SECOND = 9
"""Statements, most of them answered by one look into an index."""


def idle_loops(engine: Engine, clock: StandingClock) -> list[WorkLoop]:
    """Return the loops of the process without the senders, as they wait for the others; no wait takes time."""
    outbox = Outbox(TopicNames(""), clock, SIGNER)
    settings, health = Settings(), Health()
    brokers = Mock(port=Mock(side_effect=BrokerUnavailable("no broker answers")))
    context = process._LoopContext(
        settings=settings,
        orders=OrderContext(
            open_unit=partial(UnitOfWork, engine, outbox),
            open_look=partial(look, engine),
            brokers=brokers,
            terms=order_terms(settings),
            clock=clock,
            skipped=SkippedTrades(health, clock),
        ),
        brokers=brokers,
        health=health,
        waits=process._Waits(approved=lambda _: False, updated=lambda _: False),
        activity=Activity(engine, clock),
        stop=Stop(),
    )
    return [loop for loop in process._loops(context) if not loop.name.startswith("sender-")]


def test_an_idle_process_asks_for_little(exit_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "IDLE_S", 0.0)  # the pause before the next pass of the reconciler
    clock = StandingClock()
    loops = idle_loops(exit_engine, clock)
    with sent_statements() as statements:
        for _ in range(SECONDS):
            for loop in loops:
                calls_per_s = max(1, round(1 / loop.idle_s())) if loop.idle_s() else 1
                for _ in range(calls_per_s):
                    loop.step()
            clock.elapsed_s += 1
    assert SECONDS < len(statements) <= SECONDS * MOST_PER_SECOND, len(statements)


def test_a_quote_asked_for_is_read_within_a_second(exit_engine: Engine) -> None:
    """Ticks wait for it, three seconds at most; without one it is looked for every few seconds."""
    clock = StandingClock()
    (market_data,) = [loop for loop in idle_loops(exit_engine, clock) if loop.name == process.MARKET_DATA]
    market_data.step()
    with exit_engine.begin() as connection:
        quotes = QuoteRepository(connection)
        quotes.upsert([Quote("NSE:INFY", Decimal(1000), Decimal(900), Decimal(1100))])
        assert quotes.want(["NSE:INFY"]) == ["NSE:INFY"]
    clock.elapsed_s += 1
    with sent_statements() as statements:
        market_data.step()
    assert any("market_quotes.needed_now" in each for each in statements)
