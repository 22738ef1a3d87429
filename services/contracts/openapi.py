"""The OpenAPI documents of the HTTP APIs, as the apps themselves tell them."""

from __future__ import annotations

import importlib
from typing import Any

from pydantic import SecretStr

from shared.clock import SystemClock
from shared.outbox.signatures import new_signing_key
from shared.postgres.engine import open_engine
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT
from shared.runtime.health import Health
from shared.settings import Settings

Json = dict[str, Any]

_NOWHERE = "postgresql://none@127.0.0.1:1/none"
"""An engine connects at its first use; an app only describing itself never does."""


APIS = {
    "exit-api": ("services.exit_qualification.api.app", EXIT_QUALIFICATION),
    "trade-api": ("services.trade_management.api.app", TRADE_MANAGEMENT),
}
"""The module behind each app, and its schema."""


def openapi(name: str) -> Json:
    """Return one API's OpenAPI document."""
    module, schema = APIS[name]
    engine = open_engine(_NOWHERE, schema, application="exitflow-contracts")
    settings = Settings(event_signing_key=SecretStr(new_signing_key()))
    app = importlib.import_module(module).create(settings, engine, Health(), SystemClock())
    document: Json = app.openapi()
    return document
