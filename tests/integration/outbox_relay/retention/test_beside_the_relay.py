"""A relay looks after the partitions while it publishes."""

from __future__ import annotations

from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, assert_published_in_order
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import relay_process
from tests.integration.outbox_relay.retention.conftest import Rig
from tests.support.waiting import wait_until


def test_relay_manages_partitions_under_writes_and_publishes_everything(
    rig: Rig, writer: Writer, log: KafkaLog, exit_relay: Settings
) -> None:
    old = rig.partition_of(rig.days_ago(1))
    with relay_process(exit_relay.model_copy(update={"relay_maintenance_s": 1.0})):
        writer.write_concurrently(seed=7, writers=4, transactions=40, keys=20)
        wait_until(lambda: _states(rig)[old] == "closed" and list(_states(rig).values()).count("live") >= 3)
        writer.write_concurrently(seed=11, writers=4, transactions=40, keys=20)
        committed = writer.committed()
        assert_published_in_order(log.wait_for(len(committed)), committed)


def _states(rig: Rig) -> dict[str, str]:
    return {part.name: part.state for part in rig.partitions().catalogue()}
