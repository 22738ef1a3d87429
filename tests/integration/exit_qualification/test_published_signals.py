"""The metric of published signals equals the view, however the relay proceeds."""

from __future__ import annotations

from functools import partial

import psycopg
import pytest
from sqlalchemy import Engine

from services.exit_qualification.published_signals import PublishedSignals
from shared.clock import SystemClock
from shared.contracts.topics import TopicNames
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from tests.support.servers import Database
from tests.support.signing import SIGNER

SIGNAL = """
INSERT INTO exit_qualification.exit_signals
       (signal_id, trade_id, symbol, direction, exit_reason, episode_id, detected_at)
SELECT gen_random_uuid(), gen_random_uuid(), 'NSE:INFY', 'LONG', %s, 1, now() FROM generate_series(1, %s)
"""
PUBLISH = "UPDATE exit_qualification.outbox_shard SET snap = pg_current_snapshot() WHERE shard %% 4 < %s"
VIEW = "SELECT exit_reason, count(*) FROM exit_qualification.exit_signal_status WHERE status = 'PUBLISHED' GROUP BY 1"


@pytest.fixture
def published(exit_engine: Engine) -> PublishedSignals:
    clock = SystemClock()
    return PublishedSignals(partial(UnitOfWork, exit_engine, Outbox(TopicNames(""), clock, SIGNER)))


def shown(published: PublishedSignals) -> dict[str, int]:
    published.look_once()
    (family,) = published.collect()
    return {sample.labels["reason"]: int(sample.value) for sample in family.samples if sample.value}


def test_it_equals_the_view_after_every_step_of_the_relay(database: Database, published: PublishedSignals) -> None:
    with psycopg.connect(database.admin_url, autocommit=True) as relay:
        for reason, count, shards in (("TARGET", 30, 0), ("STOP_LOSS", 20, 2), ("MANUAL", 10, 4), ("TARGET", 5, 1)):
            relay.execute(SIGNAL, (reason, count))
            assert shown(published) == dict(relay.execute(VIEW).fetchall())
            relay.execute(PUBLISH, (shards,))
            assert shown(published) == dict(relay.execute(VIEW).fetchall())
        relay.execute(PUBLISH, (4,))
        assert shown(published) == {"TARGET": 35, "STOP_LOSS": 20, "MANUAL": 10}
        assert shown(PublishedSignals(published._open_unit)) == {"TARGET": 35, "STOP_LOSS": 20, "MANUAL": 10}


def test_a_parked_signal_counts_once_it_was_replayed(database: Database, published: PublishedSignals) -> None:
    with psycopg.connect(database.admin_url, autocommit=True) as relay:
        relay.execute(SIGNAL, ("TARGET", 3))
        relay.execute("""
          INSERT INTO exit_qualification.outbox_discarded (event_id, shard, topic, key, sequence, event_type, subject,
                                                           reason, discarded_by)
          SELECT gen_random_uuid(), 0, 'exits.signals.v1', trade_id::text, 1, 'io.exitflow.ExitSignalPublished.v1',
                 signal_id::text, 'test', 'test' FROM exit_qualification.exit_signals LIMIT 1""")
        relay.execute(PUBLISH, (4,))
        assert shown(published) == {"TARGET": 2}
        relay.execute(SIGNAL, ("TARGET", 1))
        relay.execute(PUBLISH, (4,))
        assert shown(published) == {"TARGET": 3}
        relay.execute("DELETE FROM exit_qualification.outbox_discarded")
        assert shown(published) == {"TARGET": 4}
