"""Common parts of every HTTP API: health, readiness, metrics, problem documents, request bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Depends, FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import Engine

from shared.clock import SystemClock
from shared.http import auth, problems
from shared.http.bounds import RequestBounds
from shared.http.declared_errors import EVERYWHERE, Declared, add_problem_schema, declared
from shared.http.rate_limits import RateLimiter
from shared.http.routing import ApiRoute
from shared.http.scrapes import Scrapers
from shared.http.slots import RequestSlots
from shared.runtime.health import Health
from shared.runtime.telemetry import REGISTRY, gauge
from shared.wording import listed

NAMED = 3
"""Conditions named of those with the same problem: a process has a condition for each of its many threads."""

READY = gauge("process_ready", "1 if every condition of /readyz holds, 0 if not")


class HttpApplication(FastAPI):
    """FastAPI with the problem schemas of the declared errors in its OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if self.openapi_schema is None:
            add_problem_schema(super().openapi())
        document: dict[str, Any] = super().openapi()
        return document


def create_app(
    title: str,
    health: Health,
    *,
    engine: Engine | None = None,
    rate_limiter: RateLimiter | None = None,
    description: str = "",
) -> FastAPI:
    """Create an app with ``/healthz``, ``/readyz`` and ``/metrics``.

    With an `engine`, `rate_limiter` counts the requests of each token, and ``/metrics`` and ``/openapi.json`` require a
    token of scope read. The engine's schema must have ``api_tokens``. A worker without an engine serves its metrics
    without a token, and no OpenAPI document.
    """
    app = HttpApplication(
        title=title,
        version="1",
        description=description,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would be built from the Host header, and make clients send a body twice
        responses=declared(*EVERYWHERE),
    )
    app.state.engine = engine
    app.state.slots = RequestSlots.of(engine) if engine is not None else None
    app.state.known_tokens = auth.KnownTokens(SystemClock())
    app.state.rate_limiter = rate_limiter or RateLimiter(0, SystemClock())
    app.router.route_class = ApiRoute
    problems.install(app)
    app.add_middleware(RequestBounds)
    _add_health(app, health)
    guarded = [Depends(auth.requires(auth.Scope.READ))] if engine is not None else []
    exposition: Declared = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}

    scrapers = [Depends(Scrapers().dependency())] if engine is not None else []

    @app.get("/metrics", tags=["health"], dependencies=scrapers, response_class=Response, responses=exposition)
    async def metrics() -> Response:
        """Prometheus metrics."""
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    if engine is not None:
        app.get("/openapi.json", include_in_schema=False, dependencies=guarded)(app.openapi)
    return app


def _add_health(app: FastAPI, health: Health) -> None:
    READY.set_function(health.is_ready)

    # Coroutines without dependencies: they answer while every worker thread waits for the database.
    @app.get("/healthz", tags=["health"])
    async def healthz() -> dict[str, str]:
        """Alive."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"])
    async def readyz() -> JSONResponse:
        """Report readiness, or the failed conditions."""
        wrong: dict[str, Any] = health.problems()
        if wrong:
            return problems.problem(503, "not_ready", in_one_line(wrong), checks=wrong)
        notes = health.notes()
        return JSONResponse({"status": "ready", "notes": notes} if notes else {"status": "ready"})


def in_one_line(wrong: Mapping[str, str]) -> str:
    """Return problems by condition as a line; of conditions with the same problem, NAMED names and the number."""
    conditions: dict[str, list[str]] = {}
    for condition, problem in wrong.items():
        conditions.setdefault(problem, []).append(condition)
    return "; ".join(f"{listed(names, NAMED)}: {problem}" for problem, names in conditions.items())
