"""HTTP API of exit qualification."""

from __future__ import annotations

from fastapi import FastAPI
from sqlalchemy import Engine

from services.exit_qualification.account_loss_service import AccountLossService
from services.exit_qualification.api import (
    account_losses,
    executions,
    exit_decisions,
    exit_explanations,
    exits,
    instruments,
    market_calendars,
    nearest_stops,
    postbacks,
    prices,
    protective_stops,
    trade_holds,
)
from services.exit_qualification.api import operator_controls as switches
from services.exit_qualification.api.context import ExitApiContext
from services.exit_qualification.bulk_exit_service import BulkExitService
from services.exit_qualification.exit_resolution_service import ExitResolutionService
from services.exit_qualification.exit_withdrawal_service import ExitWithdrawalService
from services.exit_qualification.kill_switch_service import KillSwitchService
from services.exit_qualification.manual_exit_service import ManualExitService
from services.exit_qualification.orders.brokers.kite.postbacks import PostbackSecrets
from services.exit_qualification.orders.terms import order_terms
from services.exit_qualification.terms import default_square_off, signal_management
from shared.broker_hosts import BrokerHosts
from shared.clock import Clock
from shared.contracts.topics import TopicNames
from shared.http import audit_log, identity
from shared.http.app import create_app
from shared.http.outbox import routes as outbox_routes
from shared.http.rate_limits import RateLimiter
from shared.outbox.signatures import event_signer
from shared.outbox.writing import Outbox
from shared.runtime.catalogue import EXIT_API
from shared.runtime.health import Health
from shared.settings import Settings

DESCRIPTION = "Exits of open trades: pending and past intents, manual exits, operators' switches."


def create(settings: Settings, engine: Engine, health: Health, clock: Clock) -> FastAPI:
    """Return the application, on an engine of schema exit_qualification."""
    limiter = RateLimiter(settings.http_requests_per_s, clock)
    app = create_app(EXIT_API.name, health, engine=engine, rate_limiter=limiter, description=DESCRIPTION)
    app.state.context = ExitApiContext(
        engine=engine,
        outbox=Outbox(TopicNames(settings.kafka_topic_prefix), clock, event_signer(settings)),
        clock=clock,
        manual_exits=ManualExitService(signal_management(settings, clock), clock),
        broker_hosts=BrokerHosts.of(settings.broker_hosts),
        kill_switch=KillSwitchService(clock),
        square_off=default_square_off(settings),
        resolutions=ExitResolutionService(order_terms(settings)),
        withdrawals=ExitWithdrawalService(),
        postback_secrets=PostbackSecrets.of(settings.postback_secrets),
        postback_limits=RateLimiter(settings.postbacks_per_s, clock),
        bulk_exits=BulkExitService(signal_management(settings, clock), clock),
        account_losses=AccountLossService(),
        execution=settings.execution,
    )
    app.include_router(exit_decisions.router)
    app.include_router(executions.router)
    app.include_router(trade_holds.router)
    app.include_router(exits.router)
    app.include_router(exit_explanations.router)
    app.include_router(nearest_stops.router)
    app.include_router(protective_stops.router)
    app.include_router(switches.router)
    app.include_router(account_losses.router)
    app.include_router(market_calendars.router)
    app.include_router(prices.router)
    app.include_router(postbacks.router)
    app.include_router(instruments.router)
    app.include_router(outbox_routes.router)
    app.include_router(audit_log.router)
    app.include_router(identity.router)
    return app
