"""Process ``exit-orders``: senders, a reconciler and a requalifier in separate threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Engine

from services.exit_qualification.broker_announcements import BrokerAnnouncements
from services.exit_qualification.orders.accounts.account_errors import AccountErrors
from services.exit_qualification.orders.accounts.account_losses import AccountLosses
from services.exit_qualification.orders.accounts.account_readers import READERS, AccountReaders
from services.exit_qualification.orders.accounts.token_watch import TokenWatch
from services.exit_qualification.orders.activity import FRESH_S, Activity
from services.exit_qualification.orders.asked_exits import (
    AskedExits,
    AskedExitsListener,
    AskedFor,
    need_not_ask,
)
from services.exit_qualification.orders.brokers.adapters import BrokerAdapters, open_adapters
from services.exit_qualification.orders.context import OrderContext
from services.exit_qualification.orders.instrument_refresh import InstrumentRefresh
from services.exit_qualification.orders.protection.protective_stops import ProtectiveStops
from services.exit_qualification.orders.quote_refresh import QuoteRefresh
from services.exit_qualification.orders.reconciling.external_exits import ExternalExits
from services.exit_qualification.orders.reconciling.order_outcomes import OrderOutcomes
from services.exit_qualification.orders.reconciling.pass_signal import PassSignal
from services.exit_qualification.orders.reconciling.pending_order_reconciler import PendingOrderReconciler
from services.exit_qualification.orders.reconciling.placed_orders import PlacedOrders, read_filled
from services.exit_qualification.orders.reconciling.unread_positions import UnreadPositions
from services.exit_qualification.orders.requalifying.requalification import Requalification
from services.exit_qualification.orders.requalifying.residual_exits import ResidualExits
from services.exit_qualification.orders.rest import Rest
from services.exit_qualification.orders.sending.execution_watch import ExecutionWatch
from services.exit_qualification.orders.sending.hold_watch import HoldWatch
from services.exit_qualification.orders.sending.order_execution_service import OrderExecutionService, SenderHooks
from services.exit_qualification.orders.sending.send_signal import TO_SEND, Pause, SendSignal
from services.exit_qualification.orders.sending.square_off_race import SquareOffRace
from services.exit_qualification.orders.skipped_trades import SkippedTrades
from services.exit_qualification.orders.terms import order_terms
from services.exit_qualification.orders.work_loop import WorkLoop, always, at_most_every, in_turn, only_if
from services.exit_qualification.published_signals import PublishedSignals
from services.exit_qualification.storage.execution_requests import EXECUTION_REQUESTS
from services.exit_qualification.storage.order_queues import OrderQueues
from services.exit_qualification.storage.order_updates import ORDER_UPDATES
from services.exit_qualification.terms import default_square_off, signal_management
from shared.clock import Clock, SystemClock
from shared.contracts.topics import TopicNames
from shared.errors import ConfigurationError
from shared.outbox.signatures import event_signer
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.postgres.connection_limits import LOOPS
from shared.postgres.engine import BY_INDEX, look
from shared.postgres.notifications import Listener
from shared.postgres.revisions import EXIT_QUALIFICATION
from shared.postgres.row_locks import ROW_LOCK_TIMEOUT_MS
from shared.runtime.catalogue import EXIT_ORDERS
from shared.runtime.health import Health
from shared.runtime.process import ProcessSpec, RunningProcess
from shared.runtime.stopping import Stop
from shared.runtime.telemetry import REGISTRY
from shared.settings import Execution, Settings

RECONCILER, REQUALIFIER, MARKET_DATA = "reconciler", "requalifier", "market-data"
POSITIONS, LOSSES, STOPS = "positions", "account-losses", "protective-stops"
EXECUTION_WATCH = "execution-watch"
REQUALIFY_S = 0.5
STOP_LIMIT_S = 8.0
"""Longest time for current calls to end after SIGTERM; the process must exit within 10 s.

A longer call is abandoned: its intent stays SUBMITTING, becomes UNKNOWN when its claim expires, and the broker's books
decide it.
"""
OTHER_THREADS = 11
"""Connections besides those of senders and of the readers of books.

Send signal, its listener and that of order updates, reconciler, requalifier, signal counter, market data, positions,
account losses, protective stops and the watch over execution.
"""
IDLE_S = 1.0
"""Pause between passes of the reconciler while no order is at work; a sent order ends it."""
COUNT_S = 5.0
MARKET_DATA_S = 1.0
INSTRUMENTS_S = 5.0
ERRORS_S = 1.0
QUIET_S = 5.0
"""Interval of steps for waiting exits, quotes, loss limits or stops, while there are none."""
RESIDUALS_S = 1.0
ANNOUNCEMENTS_S = 5.0
LOSSES_S = 0.5
WATCH_S = 1.0
STOPS_S = 0.1
"""Pause between two passes over protective stops; a waiting exit may need a cancellation by one."""


def build(process: RunningProcess) -> None:
    """Add a thread for each loop.

    Raises
    ------
    ConfigurationError
        Credentials or database are not set.
    """
    settings, health = process.settings, process.health
    pool_size = settings.order_workers + 3 * READERS + OTHER_THREADS
    # Of the session: set in each transaction, it would cost a statement.
    limits = replace(LOOPS, lock_ms=ROW_LOCK_TIMEOUT_MS)
    engine = process.open_database(
        settings.require_exit_database(), EXIT_QUALIFICATION, limits, pool_size=pool_size, planner=BY_INDEX
    )
    outbox = Outbox(TopicNames(settings.kafka_topic_prefix), process.clock, event_signer(settings))
    open_unit = partial(UnitOfWork, engine, outbox)
    published = PublishedSignals(open_unit)
    REGISTRY.register(published)
    clock = SystemClock()
    brokers, waits = open_adapters(settings, health), _waits(settings, engine, clock)
    terms, skipped = order_terms(settings), SkippedTrades(health, clock)
    orders = OrderContext(open_unit, partial(look, engine), brokers, terms, clock, skipped, waits.asked)
    context = _LoopContext(settings, orders, brokers, health, waits, Activity(engine, clock), process.threads.stop)
    loops = [
        *_loops(context),
        WorkLoop("published-signals", published.look_once, always(COUNT_S)),
    ]
    call_limit_s = terms.call_limit.total_seconds() + 1
    for loop in loops:
        # A sender or the reconciler may wait for the broker for the duration of one call.
        health.add(loop.name, max(settings.health_deadline_s, call_limit_s))
        process.threads.add(loop.name, partial(loop.run, health))


@dataclass(frozen=True)
class _Waits:
    """Waits with early ends: once an exit may be sent, and once a broker posted an update of an order.

    Attributes
    ----------
    asked:
        Returns the exits that trade management has asked for, as received by the first wait.
    """

    approved: Pause
    updated: Pause
    asked: AskedFor = need_not_ask


def _waits(settings: Settings, engine: Engine, clock: Clock) -> _Waits:
    """Return waits for notifications of the database; a pooler in transaction mode passes none on.

    Raises
    ------
    ConfigurationError
        Trade management executes exits, but its requests could not arrive.
    """
    if settings.execution is Execution.TRADE_MANAGEMENT:
        if settings.database_pooler:
            raise ConfigurationError(
                "EXITFLOW_EXECUTION=trade_management needs notifications of the database, which no pooler in "
                "transaction mode passes on; give exit-orders a direct URL, and EXITFLOW_DATABASE_POOLER=false"
            )
        asked = AskedExits(clock)
        requests = AskedExitsListener(Listener(engine, EXECUTION_REQUESTS), asked)
        return _Waits(requests.wait, Listener(engine, ORDER_UPDATES).wait, asked.now)
    if settings.database_pooler:
        return _Waits(threading.Event().wait, threading.Event().wait)
    return _Waits(Listener(engine, TO_SEND).wait, Listener(engine, ORDER_UPDATES).wait)


@dataclass(frozen=True)
class _LoopContext:
    """The common parts of the process's loops."""

    settings: Settings
    orders: OrderContext
    brokers: BrokerAdapters
    health: Health
    waits: _Waits
    activity: Activity
    stop: Stop


def _loops(context: _LoopContext) -> list[WorkLoop]:
    orders, clock = context.orders, context.orders.clock
    losses = AccountLosses(orders.open_unit, signal_management(context.settings, clock), clock, Rest(clock))
    external = ExternalExits(orders, Rest(clock), UnreadPositions(context.health))
    return [
        *_order_loops(context),
        *_execution_watch(context),
        WorkLoop(REQUALIFIER, _requalify(context), always(REQUALIFY_S)),
        WorkLoop(MARKET_DATA, _market_data(context), always(MARKET_DATA_S)),
        WorkLoop(POSITIONS, external.look_once, external.pause_s),
        WorkLoop(LOSSES, _often_while(context.activity.any_losses, clock, losses.look_once), always(LOSSES_S)),
    ]


def _execution_watch(context: _LoopContext) -> list[WorkLoop]:
    """Return the watch over exits that trade management does not ask for; none where it need not."""
    if context.settings.execution is Execution.EXIT_QUALIFICATION:
        return []
    orders = context.orders
    watch = ExecutionWatch(orders.open_unit, orders.asked, context.health, orders.clock)
    look_once = _often_while(context.activity.anything_unsent, orders.clock, watch.look_once)
    return [WorkLoop(EXECUTION_WATCH, look_once, always(WATCH_S))]


def _requalify(context: _LoopContext) -> Callable[[], bool]:
    """Return the step for waiting exits, and for those that ended with quantity left."""
    orders, clock, anything_unsent = context.orders, context.orders.clock, context.activity.anything_unsent
    requalification = Requalification(orders, Rest(clock), partial(context.health.alive, REQUALIFIER))
    forget = context.brokers.forget_refused_token
    errors = AccountErrors(orders.open_unit, orders.terms.limits, forget, anything_unsent)
    holds = HoldWatch(orders.open_unit, context.health, anything_unsent)
    residuals = ResidualExits(orders, signal_management(context.settings, clock))
    announcements = BrokerAnnouncements(orders.open_unit, TopicNames(context.settings.kafka_topic_prefix), clock)
    return in_turn(
        _often_while(
            anything_unsent,
            clock,
            at_most_every(ERRORS_S, errors.note_once, clock),
            at_most_every(ERRORS_S, holds.look_once, clock),
            requalification.requalify_once,
        ),
        at_most_every(RESIDUALS_S, residuals.exit_once, clock),
        at_most_every(ANNOUNCEMENTS_S, announcements.announce_once, clock),
    )


def _market_data(context: _LoopContext) -> Callable[[], bool]:
    """Return the step for questions to brokers about tokens, quotes and instruments."""
    open_unit, brokers, clock = context.orders.open_unit, context.brokers, context.orders.clock
    instruments = InstrumentRefresh(open_unit, brokers, clock, partial(context.health.alive, MARKET_DATA))
    return in_turn(
        _often_while(
            context.activity.any_prices_needed,
            clock,
            TokenWatch(open_unit, brokers, clock, context.activity.anything_unsent).look_once,
            QuoteRefresh(open_unit, brokers, clock).refresh_once,
        ),
        at_most_every(INSTRUMENTS_S, instruments.refresh_once, clock),
    )


def _often_while(condition: Callable[[], bool], clock: Clock, *steps: Callable[[], bool]) -> Callable[[], bool]:
    """Return a step for running the given ones each time while the condition holds, and else every few seconds."""
    is_due = at_most_every(QUIET_S, lambda: True, clock)
    return only_if(lambda: is_due() or condition(), in_turn(*steps))


def _order_loops(context: _LoopContext) -> list[WorkLoop]:
    """Return the loops from an approved exit to its fill; each step wakes the next."""
    settings, orders, waits = context.settings, context.orders, context.waits
    clock = orders.clock
    signal = SendSignal(partial(_next_due_s, orders), waits.approved, settings.order_poll_ms / 1000, clock)
    context.stop.call(signal.end)
    readers = AccountReaders(orders.terms.pass_limit.total_seconds())
    outcomes = OrderOutcomes(orders.open_unit)
    reconciler = PendingOrderReconciler(orders, readers, outcomes, partial(context.health.alive, RECONCILER))
    passes = PassSignal(reconciler.reconcile_once, settings.reconcile_ms / 1000, IDLE_S, clock)
    placed = PlacedOrders(orders.brokers, readers, outcomes, on_open=passes.ring)
    race = SquareOffRace(orders.open_unit, default_square_off(settings), clock)
    hooks = SenderHooks(signal.ring, signal.claimed, placed.look, on_unclear=passes.ring)
    service = OrderExecutionService(orders, race, outcomes, hooks, read_filled)
    stops = ProtectiveStops(orders, on_triggered=passes.ring)
    sender = signal.answering(service.execute_next)

    def send_look() -> bool:
        orders.skipped.show()
        return signal.look()

    return [
        WorkLoop("send-signal", send_look, always(0)),
        *(WorkLoop(f"sender-{n}", sender, always(0)) for n in range(settings.order_workers)),
        WorkLoop(RECONCILER, passes.next_pass, always(0)),
        WorkLoop("order-updates", passes.ringing(waits.updated, stops.read_again), always(0)),
        WorkLoop(
            STOPS,
            _often_while(context.activity.any_stops, clock, stops.keep_once),
            lambda: STOPS_S if context.activity.had_stops() else FRESH_S,
        ),
    ]


def _next_due_s(context: OrderContext) -> float | None:
    with context.open_look() as connection:
        return OrderQueues(connection).next_due_s(context.terms.in_flight, context.asked())


PROCESS = ProcessSpec(EXIT_ORDERS, build, stop_limit_s=STOP_LIMIT_S)
