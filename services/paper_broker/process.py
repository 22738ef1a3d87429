"""Process ``paper-broker``: HTTP in the main thread; the feed, delayed fills and postbacks in separate threads."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from fastapi import FastAPI

from services.paper_broker.accounts import accounts_of
from services.paper_broker.app import create_broker_app
from services.paper_broker.broker import Announce, PaperBroker
from services.paper_broker.desk import Desk
from services.paper_broker.gtt_desk import GttDesk
from services.paper_broker.latency import Latency
from services.paper_broker.ledger import Ledger
from services.paper_broker.market_feed import CONDITION, MarketFeed
from services.paper_broker.order_rates import OrderLimits
from services.paper_broker.postbacks import open_postbacks
from services.paper_broker.records import Records
from shared.clock import SystemClock
from shared.kafka.topic_watch import CONDITION as KAFKA
from shared.money import to_units
from shared.runtime.catalogue import PAPER_BROKER
from shared.runtime.health import Health
from shared.runtime.process import ProcessSpec, RunningProcess
from shared.runtime.stopping import Stop
from shared.settings import Settings

log = logging.getLogger(__name__)

DUE_POLL_S = 0.02
"""Interval between looks for due fills while orders are delayed."""
STOP_LOOK_S = 0.5
LEDGER = "ledger"
LEDGER_RETRY_S = 1.0


def build(process: RunningProcess) -> FastAPI:
    """Add the feed, the delayed fills and the postbacks; return the broker's HTTP application.

    Raises
    ------
    ConfigurationError
        Credentials, ledger or receiver of postbacks cannot be used.
    """
    settings, health = process.settings, process.health
    postbacks = process.resources.enter_context(open_postbacks(settings, process.clock))
    desk = process.resources.enter_context(open_desk(settings, postbacks.announce if postbacks else None))
    process.threads.add("feed", MarketFeed(settings, desk.ledger, desk.broker, health).run)
    process.threads.add("delayed-fills", lambda stop: fill_when_due(desk.broker, stop, health))
    if postbacks:
        process.threads.add("postbacks", postbacks.run)
    return create_broker_app(desk, health)


@contextmanager
def open_desk(settings: Settings, announce: Announce | None = None) -> Iterator[Desk]:
    """Open the broker described by these settings; close its ledger afterwards."""
    accounts = accounts_of(settings)
    clock, cash = SystemClock(), to_units(Decimal(settings.paper_broker_cash))
    ledger = Ledger(settings.paper_broker_dir)
    try:
        yield Desk(
            accounts,
            PaperBroker(
                ledger,
                clock,
                int(settings.tick_new_clock_after_s * 1000),
                announce,
                OrderLimits(settings.orders_per_s, settings.orders_per_min, settings.orders_per_day),
                Latency(settings.paper_broker_latency_ms),
                cash,
            ),
            Records(ledger, clock, cash),
            ledger,
            GttDesk(ledger, clock),
            settings.paper_broker_freeze_quantity,
        )
    finally:
        ledger.close()


def fill_when_due(broker: PaperBroker, stop: Stop, health: Health) -> None:
    """Resume delayed orders when due, until stopped; retry while the ledger cannot be written.

    Nothing is lost meanwhile: an order stays due until the transaction of its fill is committed.
    """
    while not stop.is_set():
        try:
            if broker.await_delayed(STOP_LOOK_S):
                stop.wait(DUE_POLL_S)
                broker.fill_due()
        except sqlite3.OperationalError as error:
            log.warning("delayed fills failed, retrying: %s", error)
            health.problem(LEDGER, str(error))
            stop.wait(LEDGER_RETRY_S)
        else:
            health.fine(LEDGER)


PROCESS = ProcessSpec(PAPER_BROKER, build, conditions=(CONDITION, KAFKA, LEDGER))
