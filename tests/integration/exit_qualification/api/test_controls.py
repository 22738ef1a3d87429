"""Operators' settings over HTTP: their answers, and the events published."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from services.exit_qualification.broker_announcements import BrokerAnnouncements
from shared.clock import SystemClock
from shared.contracts.events import parse_event
from shared.contracts.topics import TopicNames
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from tests.integration.exit_qualification.api.test_exit_api import _trade, client
from tests.support.signing import SIGNER

__all__ = ["client"]

CONTROLS = "operations.controls.v1"


def controls(engine: Engine) -> list[tuple[str, str, dict[str, Any]]]:
    """Return the events of the topic in order: type, key, payload."""
    statement = text("SELECT ce_type, key, payload FROM outbox_event WHERE topic = :topic ORDER BY id")
    with engine.connect() as connection:
        rows = connection.execute(statement, {"topic": CONTROLS}).all()
    for row in rows:
        parse_event(row.ce_type, bytes(row.payload))
    return [(row.ce_type.split(".")[2], row.key, json.loads(bytes(row.payload))) for row in rows]


def test_a_kill_switch_that_nothing_outruns_names_no_order(client: TestClient) -> None:
    answer = client.put("/kill-switch", json={"mode": "ALL", "reason": "stop"}).json()
    assert (answer["mode"], answer["on_their_way"]) == ("ALL", [])


def test_every_change_of_a_setting_is_published(client: TestClient, exit_engine: Engine) -> None:
    rollout = {"mode": "limited", "symbols": ["NSE:INFY"], "user_broker_ids": ["paper"], "reason": "first week"}
    broker = {"account": "AB1234", "root_url": "http://127.0.0.1:1", "status": "DISCONNECTED", "reason": "new"}
    for path, body in (
        ("/kill-switch", {"mode": "ENTRIES_ONLY", "reason": "news"}),
        ("/rollout", rollout),
        ("/brokers/second", broker),
    ):
        assert client.put(path, json=body).status_code == 200
    told = controls(exit_engine)
    assert [(event, key) for event, key, _ in told] == [
        ("KillSwitchChanged", "kill_switch"),
        ("RolloutChanged", "rollout"),
        ("UserBrokerChanged", "user_broker/second"),
    ]
    kill_switch, rolled_out, changed = (payload for _, _, payload in told)
    assert (kill_switch["mode"], kill_switch["reason"], kill_switch["changed_by"]) == (
        "ENTRIES_ONLY",
        "news",
        "ops-desk",
    )
    assert {name: rolled_out[name] for name in rollout} == rollout
    held = {"entries_held_since", "entries_held_reason"}
    assert set(changed) == {"user_broker_id", "broker", "status", "changed_at"} | held
    assert "AB1234" not in json.dumps(told)


def test_a_change_that_is_refused_is_not_published(client: TestClient, exit_engine: Engine) -> None:
    assert client.put("/kill-switch", json={"mode": "SOME", "reason": "x"}).status_code == 422
    assert controls(exit_engine) == []


def test_an_unannounced_user_broker_is_announced_once(exit_engine: Engine) -> None:
    topics, clock = TopicNames(""), SystemClock()
    announcements = BrokerAnnouncements(partial(UnitOfWork, exit_engine, Outbox(topics, clock, SIGNER)), topics, clock)
    announcements.announce_once()
    announcements.announce_once()
    assert [(event, key, payload["status"]) for event, key, payload in controls(exit_engine)] == [
        ("UserBrokerChanged", "user_broker/paper", "CONNECTED")
    ]


@pytest.mark.parametrize(
    "rollout", [{"mode": "dark"}, {"mode": "limited", "symbols": ["NSE:SBIN"], "user_broker_ids": ["second"]}]
)
def test_a_non_executable_manual_exit_needs_record_only(
    client: TestClient, exit_engine: Engine, rollout: dict[str, Any]
) -> None:
    assert client.put("/rollout", json={**rollout, "reason": "test"}).status_code == 200
    body = {"trade_id": _trade(exit_engine), "reason_note": "flatten"}
    refused = client.post("/exits", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_executable")
    assert client.get("/exits").json()["items"] == []
    recorded = client.post("/exits", json={**body, "record_only": True})
    assert recorded.status_code == 202
    assert (recorded.json()["status"], recorded.json()["executable"]) == ("APPROVED", False)


@pytest.mark.parametrize("rollout", [{"mode": "full"}, {"mode": "limited", "symbols": ["NSE:INFY"]}])
def test_a_recorded_manual_exit_is_never_executed(
    client: TestClient, exit_engine: Engine, rollout: dict[str, Any]
) -> None:
    assert client.put("/rollout", json={**rollout, "reason": "test"}).status_code == 200
    trade_id = _trade(exit_engine)
    refused = client.post("/exits", json={"trade_id": trade_id, "reason_note": "no", "record_only": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert client.post("/exits", json={"trade_id": trade_id, "reason_note": "yes"}).json()["executable"] is True
