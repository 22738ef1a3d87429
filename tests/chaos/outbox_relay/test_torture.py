"""Every disturbance of relays and writers, at once, and the checker's verdict on the outcome."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest

from deploy.local.kafka.broker import Broker
from shared.contracts.topics import TopicNames
from shared.settings import Settings
from tests.chaos.outbox_relay.checker import judge
from tests.chaos.outbox_relay.disturbance import Disturbance
from tests.chaos.outbox_relay.extent import DURATION_S, SEED
from tests.chaos.outbox_relay.fleet import open_fleet
from tests.chaos.outbox_relay.load import open_load
from tests.integration.outbox_relay.kafka_log import KafkaLog
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.support.servers import Database

_log = logging.getLogger(__name__)

RELAYS, WRITERS, KEYS = 3, 16, 24
DRAIN_LIMIT_S = 120


@pytest.fixture
def hurried(exit_relay: Settings) -> Settings:
    """A short lease, and few events in flight: windows have many batches."""
    return exit_relay.model_copy(update={"relay_lease_s": 1.0, "relay_batch_size": 100})


@pytest.mark.timeout(DURATION_S + 2 * DRAIN_LIMIT_S)
def test_killed_and_stopped_relays_publish_everything_in_order_under_load(
    writer: Writer, settings: Settings, hurried: Settings, topics: TopicNames, log: KafkaLog, database: Database,
    kafka: Broker, tmp_path: Path,
) -> None:  # fmt: skip
    assert kafka.pid is not None
    with (
        open_load(settings, topics, seed=SEED, keys=KEYS, writers=WRITERS) as load,
        open_fleet(hurried, tmp_path / "relays.log", RELAYS) as fleet,
    ):
        disturbance = Disturbance(
            fleet, admin_url=database.admin_url, broker_pid=kafka.pid, lease_s=1.0, dice=random.Random(SEED)
        )
        with load.from_writers(WRITERS):
            disturbance.go_on_for(DURATION_S)
        committed = writer.committed()
        wait_until_published(log, len(committed))
        fleet.end_all()
        verdict = judge(log.to_the_end(), committed, fleet.most_duplicates())
        report = f"seed {SEED}, {len(committed)} events, {fleet.interruptions()} interruptions\n{verdict}"
        _log.info(report)
        assert verdict.is_sound, "\n".join([report, *disturbance.diary])
        assert writer.owners() == {None: 64}, "no lease is left behind"


def wait_until_published(log: KafkaLog, events: int) -> None:
    """Return once the topic has so many events, or can be judged as it is: then some are lost."""
    try:
        log.wait_for(events, DRAIN_LIMIT_S)
    except AssertionError:
        return
