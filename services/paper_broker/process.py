"""Process ``paper-broker``: HTTP in the main thread, the feed and delayed fills in separate threads."""

from __future__ import annotations

import logging
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from services.paper_broker.accounts import accounts_of
from services.paper_broker.app import create_broker_app
from services.paper_broker.broker import PaperBroker
from services.paper_broker.desk import Desk
from services.paper_broker.ledger import Ledger
from services.paper_broker.market_feed import CONDITION, MarketFeed
from services.paper_broker.records import Records
from shared.clock import SystemClock
from shared.kafka.topic_watch import CONDITION as KAFKA
from shared.runtime.health import Health
from shared.runtime.process import GRACE_S, Stop, serve
from shared.settings import Settings

log = logging.getLogger(__name__)

DEFAULT_PORT = 8003
DUE_POLL_S = 0.02
LEDGER = "ledger"
LEDGER_RETRY_S = 1.0


def main(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises
    ------
    ConfigurationError
        Credentials, ledger or port cannot be used.
    """
    health = Health(CONDITION, KAFKA, LEDGER, deadline_s=settings.health_deadline_s)
    with ExitStack() as stack:
        desk = stack.enter_context(open_desk(settings))
        stop = Stop()
        feed = MarketFeed(settings, desk.ledger, desk.broker, health)
        stack.enter_context(running("feed", lambda: feed.run(stop), stop))
        stack.enter_context(running("delayed-fills", lambda: fill_when_due(desk.broker, stop, health), stop))
        serve(create_broker_app(desk, health), settings, DEFAULT_PORT)


@contextmanager
def open_desk(settings: Settings) -> Iterator[Desk]:
    """Open the broker described by these settings; close its ledger afterwards."""
    accounts = accounts_of(settings)
    clock = SystemClock()
    ledger = Ledger(settings.paper_broker_dir)
    try:
        yield Desk(
            accounts,
            PaperBroker(ledger, clock, int(settings.tick_new_clock_after_s * 1000)),
            Records(ledger, clock),
            ledger,
        )
    finally:
        ledger.close()


def fill_when_due(broker: PaperBroker, stop: Stop, health: Health) -> None:
    """Resume delayed orders when due, until stopped; retry while the ledger cannot be written.

    Nothing is lost meanwhile: an order stays due until the transaction that fills it is committed.
    """
    while not stop.wait(DUE_POLL_S):
        try:
            broker.fill_due()
        except sqlite3.OperationalError as error:
            log.warning("delayed fills failed, retrying: %s", error)
            health.problem(LEDGER, str(error))
            stop.wait(LEDGER_RETRY_S)
        else:
            health.fine(LEDGER)


@contextmanager
def running(name: str, work: Callable[[], None], stop: Stop) -> Iterator[None]:
    """Run `work` in a thread inside the block; afterwards stop it and wait for it.

    A failing thread ends the process, and its supervisor restarts it: a broker without this thread is not useful.
    """
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # raised again in the thread that started this one
            log.critical("%s failed", name, exc_info=error)
            failures.append(error)
            signal.raise_signal(signal.SIGTERM)

    thread = threading.Thread(target=guarded, name=name)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(GRACE_S)
    if failures:
        raise failures[0]
