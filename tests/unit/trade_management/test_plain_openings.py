from __future__ import annotations

from services.trade_management.api import trades
from shared.http.routing import ApiRoute


def test_post_trades_route_serves_plain_requests_without_framework() -> None:
    found = [route for route in trades.router.routes if isinstance(route, ApiRoute) and "POST" in (route.methods or ())]
    assert [(route.path, route._plain is not None) for route in found] == [("/trades", True)]
