"""What a relay says of itself to whoever asks."""

from __future__ import annotations

import threading

import psycopg
import pytest

from services.outbox_relay import relay as outbox_relay
from services.outbox_relay.relay import OutboxRelay, OutboxSource
from shared.ids import new_id
from shared.runtime.health import Health
from shared.settings import Settings
from tests.unit.outbox_relay.clock import StandingClock

SAID = 'connection to server at "db.internal" (10.0.0.7), port 5432 failed: role "exitflow_relay" is not permitted'


def test_it_does_not_show_where_the_database_is_and_logs_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()

    def refuse(*_: str) -> None:
        stop.set()
        raise psycopg.OperationalError(SAID)

    monkeypatch.setattr(outbox_relay, "connect", refuse)
    health = Health()
    source = OutboxSource("exit", "exit_qualification", "postgresql://nowhere")
    OutboxRelay(source, Settings(), StandingClock(), new_id(), health).run(stop)
    assert health.problems() == {
        "relay exit": "the database does not answer (OperationalError) (since 2026-01-13T04:00:00.000000Z)"
    }
    assert SAID in caplog.text
