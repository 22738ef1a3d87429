"""Each obstacle to exits is a symptom with an action; a healthy system has none."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.doctor import rules
from services.doctor.symptom import Severity
from services.exit_qualification.domain.intent_state_machine import LIVE
from shared.contracts.topics import ALL_TOPICS, MARKET_TICKS

TOTALS = {"shards": 64, "owned": 64, "owners": 1, "paused": 0, "backlog": 0, "oldest_age_s": None, "parked": 0}

ACCOUNT = {"user_broker_id": "paper", "status": "CONNECTED", "token_refused_at": None}
TRADE = {"trade_id": "t", "symbol": "NSE:INFY"}
NOW, TODAY = datetime(2026, 1, 13, 5, tzinfo=UTC), date(2026, 1, 13)
LOAD = {"source": "kite", "loaded_at": "2026-01-10T03:00:00Z", "error": None}

REFUSED = {
    "intent_id": "i", "trade_id": "t", "exit_reason": "STOP_LOSS", "symbol": "NSE:INFY",
    "created_at": "2026-01-13T04:59:00Z", "gates": [{"gate": "LOT", "verdict": "REJECT"}],
}  # fmt: skip


def intent(**fields: Any) -> dict[str, Any]:
    usual = {"intent_id": "i", "exit_reason": "STOP_LOSS", "symbol": "NSE:INFY", "status": "APPROVED", "age_ms": 0}
    return {**usual, "error_code": None, "gates": [], **fields}


def test_a_healthy_system_has_no_symptom() -> None:
    assert not list(rules.unready_processes({"relay": None}))
    assert not list(rules.held_exits([intent(age_ms=59_999)]))
    assert not list(rules.controls({"mode": "OFF"}, {"mode": "full"}))
    assert not list(rules.accounts([ACCOUNT]))
    assert not list(rules.missing_stops([{**TRADE, "stop": {"status": "PLACING", "error_message": None}}]))
    assert not list(rules.lagging_consumers({"exit-ticks": {MARKET_TICKS: 99.0}, "relay": {}}))
    assert not list(rules.calendars([{"exchange": "NSE", "valid_to": None}], TODAY))
    assert not list(rules.instruments([LOAD, {**LOAD, "source": "file", "loaded_at": None}], NOW))
    assert not list(rules.outbox("exit", TOTALS))
    assert not list(rules.topics(dict.fromkeys(ALL_TOPICS, 12)))


@pytest.mark.parametrize(
    ("told", "action"),
    [
        ("not ready (503): database: schema exit_qualification is at revision V001", "migrate up"),
        ("not ready (503): database: does not answer", "PostgreSQL"),
        ("not ready (503): broker paper: the access token is refused", "access token"),
        ("does not answer (Connection refused)", "log"),
        (
            "not ready (503): kafka: Kafka: Failed while waiting for response from broker: Local: Timed out",
            "check Kafka",
        ),
        ("not ready (503): relay exit: Kafka does not answer since 2026-01-13T09:15:00Z", "check Kafka"),
        ("not ready (503): waiting: trade 0192 waits for 20 s: its row is locked", "lock on the row"),
        ("not ready (503): relay exit: the database does not answer (a lock is held by another transaction)", "lock"),
        ("not ready (503): brokers: positions cannot be read: paper: no answer since the last look", "the broker"),
        ("not ready (503): something new", "exitflow status"),
    ],
)
def test_an_unready_process_comes_with_what_helps(told: str, action: str) -> None:
    (symptom,) = rules.unready_processes({"relay": None, "exit-ticks": told})
    assert (symptom.subject, symptom.finding, symptom.severity) == ("exit-ticks", told, Severity.PROBLEM)
    assert action in symptom.action


@pytest.mark.parametrize("status", sorted(LIVE))
def test_every_status_reports_long_running_exit(status: str) -> None:
    gates = [{"gate": "KILL_SWITCH", "verdict": "DEFER"}, {"gate": "ROLLOUT", "verdict": "PASS"}]
    (symptom,) = rules.held_exits([intent(status=status, age_ms=61_000, error_code="TOKEN_EXPIRED", gates=gates)])
    assert symptom.finding == f"STOP_LOSS of NSE:INFY is {status} for 61 s, TOKEN_EXPIRED, held by KILL_SWITCH"
    assert symptom.action


def test_an_unknown_outcome_is_told_at_once() -> None:
    assert len(list(rules.held_exits([intent(status="UNKNOWN", age_ms=1)]))) == 1


def test_what_an_operator_chose_is_a_note() -> None:
    found = list(rules.controls({"mode": "ALL", "reason": "a"}, {"mode": "dark", "reason": "b"}))
    assert [(each.severity, each.finding) for each in found] == [(Severity.NOTE, "ALL: a"), (Severity.NOTE, "dark: b")]


@pytest.mark.parametrize(
    ("changed", "finding"),
    [
        ({"owned": 60}, "4 shards without a relay"),
        ({"owned": 63, "paused": 1}, "1 paused shard"),
        ({"parked": 3}, "3 parked events, refused by Kafka"),
        ({"oldest_age_s": 31.0, "backlog": 7}, "an event has waited for 31 s, 7 wait"),
    ],
)
def test_what_keeps_events_from_kafka_is_told(changed: dict[str, Any], finding: str) -> None:
    (symptom,) = rules.outbox("exit", {**TOTALS, **changed})
    assert symptom.finding == finding
    assert "exitflow" in symptom.action


def test_topics_that_are_missing_or_do_not_fit_are_told() -> None:
    counts = dict.fromkeys(ALL_TOPICS, 12)
    (missing,) = rules.topics({name: count for name, count in counts.items() if name != MARKET_TICKS})
    assert missing.finding == "does not exist"
    (unequal,) = rules.topics({**counts, MARKET_TICKS: 24})
    assert "24 partitions" in unequal.finding


@pytest.mark.parametrize(
    ("changed", "finding", "action"),
    [
        ({"status": "DISCONNECTED"}, "disconnected: its exits wait", "accounts connect paper --connected"),
        ({"token_refused_at": "2026-01-13T04:00:00Z"}, "refuses its access token since 2026-01-13", "BROKER_CREDENT"),
    ],
)
def test_an_account_that_takes_no_orders_is_told(changed: dict[str, Any], finding: str, action: str) -> None:
    (symptom,) = rules.accounts([ACCOUNT | changed])
    assert finding in symptom.finding and action in symptom.action and symptom.severity is Severity.PROBLEM


def test_trade_lacking_protective_stop_is_reported_with_reason() -> None:
    failed = {"status": "FAILED", "error_message": "RMS: no margin"}
    found = [each.finding for each in rules.missing_stops([{**TRADE, "stop": failed}, {**TRADE, "stop": None}])]
    assert found == [
        "NSE:INFY has no protective stop: FAILED, RMS: no margin",
        "NSE:INFY has no protective stop: not written, is exit-orders ready?",
    ]


@pytest.mark.parametrize(("records", "severity"), [(100.0, Severity.NOTE), (10_000.0, Severity.PROBLEM)])
def test_a_consumer_that_is_behind_is_told(records: float, severity: Severity) -> None:
    (symptom,) = rules.lagging_consumers({"trade-fills": {"exits.intents.v1": records}})
    assert (symptom.subject, symptom.severity) == ("topic exits.intents.v1", severity)
    assert symptom.finding == f"trade-fills is {records:,.0f} records behind"


def test_calendars_that_end_or_are_missing_are_told() -> None:
    assert [each.severity for each in rules.calendars([], TODAY)] == [Severity.NOTE]
    stored = [
        {"exchange": "NSE", "valid_to": "2025-12-31"},
        {"exchange": "NSE", "valid_to": "2026-12-31"},
        {"exchange": "MCX", "valid_to": "2026-01-12"},
        {"exchange": "BSE", "valid_to": "2026-01-13"},
    ]
    assert [(each.subject, each.severity) for each in rules.calendars(stored, TODAY)] == [
        ("calendar BSE", Severity.NOTE),
        ("calendar MCX", Severity.PROBLEM),
    ]


@pytest.mark.parametrize(
    ("changed", "finding"),
    [
        ({"error": "404"}, "the last load failed: 404"),
        ({"loaded_at": None}, "were never loaded"),
        ({"loaded_at": "2026-01-09T04:59:59Z"}, "were loaded last at 2026-01-09T04:59:59Z"),
    ],
)
def test_old_instruments_are_told(changed: dict[str, Any], finding: str) -> None:
    (symptom,) = rules.instruments([LOAD | changed], NOW)
    assert (symptom.subject, symptom.finding) == ("instruments of kite", finding)


@pytest.mark.parametrize("gate", ["LOT", "FREEZE_QTY"])
def test_an_exit_no_order_can_have_is_a_problem_once(gate: str) -> None:
    refused = {**REFUSED, "gates": [{"gate": gate, "verdict": "REJECT"}]}
    (found,) = rules.rejected_exits([refused, refused], NOW)
    assert (found.severity, found.subject) == (Severity.PROBLEM, "trade t")
    assert f"refused by {gate}" in found.finding


@pytest.mark.parametrize(
    "changes",
    [
        {"gates": [{"gate": "TRADE_OPEN", "verdict": "REJECT"}]},
        {"gates": [{"gate": "LOT", "verdict": "DEFER"}]},
        {"created_at": "2026-01-13T03:59:59Z"},
    ],
)
def test_other_refused_exits_are_none(changes: dict[str, Any]) -> None:
    assert list(rules.rejected_exits([{**REFUSED, **changes}], NOW)) == []
