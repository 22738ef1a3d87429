"""Order updates of Kite over HTTP: their owner, their wake-ups, and the refused ones."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import Engine, text

from services.exit_qualification.api.app import create
from services.exit_qualification.orders.brokers.kite.postbacks import KitePostback, PostbackSecrets
from services.exit_qualification.storage.order_updates import ORDER_UPDATES
from shared.clock import SystemClock
from shared.contracts.vocabulary import IntentStatus
from shared.errors import ConfigurationError
from shared.postgres.notifications import Listener
from shared.runtime.health import Health
from shared.runtime.telemetry import REGISTRY
from shared.settings import Settings
from tests.integration.exit_qualification.intent_rows import put_intent
from tests.support.servers import Database
from tests.support.waiting import LIMIT_S

AT = "2026-01-13 10:30:00"
ORDER = "260113000000007"


@pytest.fixture
def client(database: Database, exit_engine: Engine) -> Iterator[TestClient]:
    """A client without a token; an exit has the order ``ORDER``."""
    with exit_engine.begin() as connection:
        put_intent(connection, IntentStatus.FILLED, None, ORDER)
    secrets = SecretStr(json.dumps({"other": "another", "paper": "s3cret"}))
    settings = Settings(exit_database_url=SecretStr(database.exit_url), postback_secrets=secrets, postbacks_per_s=1)
    health = Health("database", deadline_s=math.inf)
    with TestClient(create(settings, exit_engine, health, SystemClock())) as http:
        yield http


def update(order: str = ORDER, secret: str = "s3cret", **more: Any) -> dict[str, Any]:
    """Return an order update as Kite posts it."""
    checksum = hashlib.sha256(f"{order}{AT}{secret}".encode()).hexdigest()
    return {"order_id": order, "order_timestamp": AT, "checksum": checksum, "status": "COMPLETE", **more}


def post(client: TestClient, body: Any, **headers: str) -> tuple[int, str]:
    answer = client.post("/postbacks/kite", content=json.dumps(body), headers=headers)
    return answer.status_code, answer.json().get("code", "taken")


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("exit_postbacks_total", {"result": result}) or 0.0


def test_an_update_wakes_whoever_listens_and_changes_nothing(client: TestClient, exit_engine: Engine) -> None:
    listener = Listener(exit_engine, ORDER_UPDATES)
    assert listener.wait(0.01) is False
    before = counted("taken")
    for content_type in ("application/json", "text/plain"):
        assert post(client, update(), **{"content-type": content_type}) == (200, "taken")
        assert listener.wait(LIMIT_S) is True
    listener.close()
    assert counted("taken") == before + 2
    with exit_engine.connect() as connection:
        assert connection.execute(text("SELECT version FROM exit_intents")).scalars().all() == [1]


def test_tag_identifies_order_with_number_still_unknown(client: TestClient, exit_engine: Engine) -> None:
    with exit_engine.connect() as connection:
        tag = connection.execute(text("SELECT client_order_id FROM exit_intents")).scalar_one()
    assert post(client, update("260113000000099", tag=tag)) == (200, "taken")


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (update(secret="guess"), (403, "forged_postback")),
        (update() | {"order_id": "260113000000008"}, (403, "forged_postback")),
        (update() | {"order_timestamp": "2026-01-13 10:30:01"}, (403, "forged_postback")),
        (update() | {"checksum": "é"}, (422, "invalid_input")),
        ({"order_id": ORDER}, (422, "invalid_input")),
        ([], (422, "invalid_input")),
        (update("260113000000099"), (404, "not_found")),
        (update("260113000000099", tag="of somebody else"), (404, "not_found")),
        (update(secret="another"), (404, "not_found")),  # an account of ours, but the order is of another one
    ],
)
def test_forged_or_unknown_updates_are_refused_counted_and_wake_nobody(
    client: TestClient, exit_engine: Engine, body: Any, refused: tuple[int, str]
) -> None:
    listener, before = Listener(exit_engine, ORDER_UPDATES), counted(refused[1])
    listener.wait(0.01)
    assert post(client, body) == refused
    assert counted(refused[1]) == before + 1
    assert listener.wait(0.1) is False
    listener.close()


def test_forged_updates_are_bounded_and_take_nothing_from_real_ones(client: TestClient) -> None:
    forged = [post(client, update(secret="guess"))[0] for _ in range(15)]
    assert forged[:10] == [403] * 10 and forged[-1] == 429
    real = [post(client, update())[0] for _ in range(15)]
    assert real[:10] == [200] * 10 and real[-1] == 429


def test_without_secrets_every_update_is_refused() -> None:
    assert PostbackSecrets.of(None).sender_of(_parsed(update())) is None
    assert PostbackSecrets.of(SecretStr('{"paper": "s3cret"}')).sender_of(_parsed(update())) == "paper"
    with pytest.raises(ConfigurationError, match="EXITFLOW_POSTBACK_SECRETS") as refused:
        PostbackSecrets.of(SecretStr('{"paper": {"api_secret": "s3cret"}}'))
    assert "s3cret" not in str(refused.value)


def _parsed(body: dict[str, Any]) -> KitePostback:
    return KitePostback.model_validate(body)
