"""The outboxes of a relay, by its settings."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from services.outbox_relay.process import outboxes_of
from shared.errors import ConfigurationError
from shared.settings import Settings

BOTH = Settings(exit_database_url=SecretStr("postgresql://exit"), trade_database_url=SecretStr("postgresql://trade"))


def test_each_named_outbox_is_in_its_service_schema_and_database() -> None:
    found = [(source.name, source.schema, source.url) for source in outboxes_of(BOTH)]
    assert found == [
        ("exit", "exit_qualification", "postgresql://exit"),
        ("trade", "trade_management", "postgresql://trade"),
    ]


def test_an_outbox_named_twice_is_published_once() -> None:
    assert len(outboxes_of(BOTH.model_copy(update={"relay_outboxes": "trade,trade"}))) == 1


def test_an_outbox_without_its_database_is_refused() -> None:
    settings = Settings(exit_database_url=SecretStr("postgresql://exit"), relay_outboxes="exit,trade")
    with pytest.raises(ConfigurationError, match="EXITFLOW_TRADE_DATABASE_URL"):
        outboxes_of(settings)
