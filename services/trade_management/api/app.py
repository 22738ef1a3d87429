"""HTTP API of trade management."""

from __future__ import annotations

from fastapi import FastAPI
from sqlalchemy import Engine

from services.trade_management.api import charges, corporate_actions, pnl, trades
from services.trade_management.api.context import TradeApiContext
from services.trade_management.api.market_questions import MarketQuestions
from services.trade_management.api.openings import openings_of
from services.trade_management.charge_finalisation_service import ChargeFinalisationService
from services.trade_management.corporate_action_service import CorporateActionService
from services.trade_management.live_exits import live_exits_of
from services.trade_management.markets import markets_of
from services.trade_management.trade_management_service import TradeManagementService
from shared.clock import Clock
from shared.contracts.topics import TopicNames
from shared.http import audit_log, identity
from shared.http.app import create_app
from shared.http.outbox import routes as outbox_routes
from shared.http.rate_limits import RateLimiter
from shared.outbox.signatures import event_signer
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.runtime.catalogue import TRADE_API
from shared.runtime.health import Health
from shared.settings import Settings

DESCRIPTION = "Trades, from opening to closure, and their profit and loss."


def create(settings: Settings, engine: Engine, health: Health, clock: Clock) -> FastAPI:
    """Return the application, on an engine of schema trade_management."""
    limiter = RateLimiter(settings.http_requests_per_s, clock)
    app = create_app(TRADE_API.name, health, engine=engine, rate_limiter=limiter, description=DESCRIPTION)
    markets, service = markets_of(settings, clock), TradeManagementService(clock)
    outbox = Outbox(TopicNames(settings.kafka_topic_prefix), clock, event_signer(settings))
    app.state.context = TradeApiContext(
        engine=engine,
        outbox=outbox,
        clock=clock,
        service=service,
        openings=openings_of(service, lambda: UnitOfWork(engine, outbox)),
        charge_finalisation=ChargeFinalisationService(clock),
        corporate_actions=CorporateActionService(clock, markets, live_exits_of(settings)),
        markets=markets,
        market_questions=MarketQuestions(markets),
    )
    app.include_router(trades.router)
    app.include_router(pnl.router)
    app.include_router(charges.router)
    app.include_router(corporate_actions.router)
    app.include_router(outbox_routes.router)
    app.include_router(audit_log.router)
    app.include_router(identity.router)
    return app
