"""The parts that every HTTP surface has: health, readiness, metrics, problem documents, a body limit."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import Engine
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.health import Health
from shared.http import auth, problems
from shared.telemetry import REGISTRY

MAX_BODY_BYTES = 256 * 1024


class BodyLimit:
    """Refuses a request whose declared body is too large, and one that does not declare its length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and _too_large(dict(scope["headers"])):
            await problems.problem(413, "body_too_large", f"at most {MAX_BODY_BYTES} bytes")(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _too_large(headers: dict[bytes, bytes]) -> bool:
    if b"transfer-encoding" in headers:
        return True
    declared = headers.get(b"content-length", b"0")
    return not declared.isdigit() or int(declared) > MAX_BODY_BYTES


def create_app(title: str, health: Health, *, engine: Engine | None = None, description: str = "") -> FastAPI:
    """An app with ``/healthz``, ``/readyz`` and ``/metrics``.

    With an `engine`, whose schema has ``api_tokens``, metrics need a token of scope read, and so does
    ``/openapi.json``; a worker without one serves its metrics to whoever reaches its port, and no OpenAPI.
    """
    app = FastAPI(title=title, version="1", description=description, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.engine = engine
    problems.install(app)
    app.add_middleware(BodyLimit)
    _add_health(app, health)
    guarded = [Depends(auth.requires(auth.Scope.READ))] if engine is not None else []

    @app.get("/metrics", tags=["health"], dependencies=guarded)
    def metrics() -> Response:
        """Prometheus metrics."""
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    if engine is not None:
        app.get("/openapi.json", include_in_schema=False, dependencies=guarded)(app.openapi)
    return app


def _add_health(app: FastAPI, health: Health) -> None:
    # Coroutines without dependencies: they answer while every worker thread waits for the database.
    @app.get("/healthz", tags=["health"])
    async def healthz() -> dict[str, str]:
        """Alive."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"], responses={503: {"description": "not ready, and why"}})
    async def readyz() -> JSONResponse:
        """Ready to work, or what is wrong."""
        wrong: dict[str, Any] = health.problems()
        if wrong:
            return problems.problem(503, "not_ready", "; ".join(f"{k}: {v}" for k, v in wrong.items()), checks=wrong)
        return JSONResponse({"status": "ready"})
