"""A relay's report of itself."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import psycopg
import pytest

from services.outbox_relay import backlog_metrics
from services.outbox_relay import relay as outbox_relay
from services.outbox_relay.backlog_metrics import BacklogMonitor
from services.outbox_relay.relay import OutboxRelay, OutboxSource
from services.outbox_relay.retention import maintenance
from services.outbox_relay.retention.maintenance import Retention
from shared.ids import new_id
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings
from tests.unit.outbox_relay.clock import StandingClock

SOURCE = OutboxSource("exit", "exit_qualification", "postgresql://nowhere")
SAID = 'connection to server at "db.internal" (10.0.0.7), port 5432 failed: role "exitflow_relay" is not permitted'


def test_readiness_logs_database_location_but_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop = Stop()

    def refuse(*_: str) -> None:
        stop.set()
        raise psycopg.OperationalError(SAID)

    monkeypatch.setattr(outbox_relay, "connect", refuse)
    health = Health()
    OutboxRelay(SOURCE, Settings(), StandingClock(), new_id(), health).run(stop)
    assert health.problems() == {
        "relay exit": "the database does not answer (OperationalError) (since 2026-01-13T04:00:00.000000Z)"
    }
    assert SAID in caplog.text


def _retention(clock: StandingClock, health: Health) -> Retention:
    return Retention(SOURCE, Settings(), health)


def _survey(clock: StandingClock, health: Health) -> BacklogMonitor:
    return BacklogMonitor(SOURCE, clock, health)


class StopAfterOneWait(Stop):
    """Notes the first wait and ends there."""

    waited_s = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.waited_s = timeout or 0.0
        self.set()
        return True


@pytest.mark.parametrize(
    ("module", "connects", "make", "condition"),
    [
        (maintenance, "connect", _retention, "partitions exit"),
        (backlog_metrics, "open_connection", _survey, "survey exit"),
    ],
)
def test_threads_beside_session_report_failures_and_hangs_and_retry_soon(
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    connects: str,
    make: Callable[[StandingClock, Health], Retention | BacklogMonitor],
    condition: str,
) -> None:
    def refuse(*_: object) -> None:
        raise psycopg.OperationalError(SAID)

    monkeypatch.setattr(module, connects, refuse)
    clock, stop = StandingClock(), StopAfterOneWait()
    health = Health(clock=clock)
    part = make(clock, health)
    assert health.problems() == {condition: "starting"}
    part.run(stop)
    assert "OperationalError" in health.problems()[condition]
    assert SAID not in health.problems()[condition]
    assert stop.waited_s <= 5, "not the pause that follows a success"
    health.fine(condition)
    clock.elapsed_s += 3600
    assert "no progress" in health.problems()[condition]
