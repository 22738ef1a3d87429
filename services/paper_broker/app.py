"""HTTP application of the broker: Kite Connect v3 at the root, health, metrics and the control API."""

from __future__ import annotations

from fastapi import FastAPI

from services.paper_broker import control_api, gtt_api, kite_api, margin_api, market_api, order_api
from services.paper_broker.answer_faults import AnswerFaults
from services.paper_broker.desk import Desk
from services.paper_broker.kite_answers import install_errors
from shared.http.app import create_app
from shared.runtime.catalogue import PAPER_BROKER
from shared.runtime.health import Health


def create_broker_app(desk: Desk, health: Health) -> FastAPI:
    """Return the HTTP application of one broker."""
    app = create_app(PAPER_BROKER.name, health, description="Kite Connect v3 for paper trading")
    app.state.desk = desk
    app.router.redirect_slashes = False  # a redirect would make clients send an order twice
    install_errors(app)
    app.add_middleware(AnswerFaults)
    for api in (order_api, kite_api, margin_api, gtt_api, market_api, control_api):
        app.include_router(api.router)
    return app
