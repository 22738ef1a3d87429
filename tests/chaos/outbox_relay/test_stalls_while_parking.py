"""A relay stalled past its lease while it parks or replays: events are parked once, and in order."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from shared.runtime.failpoints import Failpoint
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, assert_published_in_order
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.parking.made_topics import topics_fixture
from tests.integration.outbox_relay.parking.operator import Operator
from tests.integration.outbox_relay.parking.test_parking import LIMIT_BYTES, others, park_a_key, poison
from tests.integration.outbox_relay.relays import relay_process, running_relay
from tests.integration.outbox_relay.test_failures import limit_record_bytes
from tests.support.product_process import ProductProcess
from tests.support.waiting import wait_until

LEASE_S, STALL_S = 1.0, 3.0

pytestmark = [pytest.mark.apache, pytest.mark.chaos]


topics = topics_fixture(LIMIT_BYTES)


@pytest.fixture
def narrow(exit_relay: Settings) -> Settings:
    """Few events in flight, and a lease shorter than the stall."""
    return exit_relay.model_copy(update={"relay_batch_size": 100, "relay_lease_s": LEASE_S})


def staller(narrow: Settings, point: Failpoint) -> AbstractContextManager[ProductProcess]:
    """A relay stalled at this point."""
    return relay_process(narrow, f"{point.value}=stall:{STALL_S}")


def test_events_are_parked_once_despite_stalled_parking_relay(
    writer: Writer, narrow: Settings, log: KafkaLog, topic: str, operator: Operator
) -> None:
    writer.write("poison", *others())
    poison(writer)
    writer.write("poison", *others())
    with staller(narrow, Failpoint.RELAY_BEFORE_PARK_COMMIT) as process:
        wait_until(lambda: None not in writer.owners())
        (stalled,) = writer.owners()
        # Its transaction keeps its parking shard from the other relay, not the shards around it.
        with running_relay(narrow):
            wait_until(lambda: len(writer.owners()) == 2 or stalled not in writer.owners())
            wait_until(lambda: operator.parked_of("poison") == [2, 3])
            limit_record_bytes(narrow, topic, 1_000_000)
            operator.replay_until_gone(topic)
            writer.write("poison", *others())
            wait_until(lambda: writer.unpublished() == 0)
        assert process.poll() is None
    assert_published_in_order(log.to_the_end(), writer.committed())


def test_second_replay_keeps_order_while_first_relay_stalls(
    writer: Writer, narrow: Settings, log: KafkaLog, topic: str, operator: Operator
) -> None:
    park_a_key(writer, narrow, operator)
    limit_record_bytes(narrow, topic, 1_000_000)
    operator.replay(topic)
    with staller(narrow, Failpoint.RELAY_AFTER_REPLAY_ACK) as process:
        wait_until(lambda: None not in writer.owners())
        (stalled,) = writer.owners()
        with running_relay(narrow):
            wait_until(lambda: stalled not in writer.owners())
            operator.replay_until_gone(topic)
            writer.write("poison", *others())
            wait_until(lambda: len(writer.owners()) == 2)
            wait_until(lambda: writer.unpublished() == 0)
        assert process.poll() is None
    records = log.to_the_end()
    assert_published_in_order(records, writer.committed())
    assert len(records) > len(writer.committed()), "what was acknowledged and not on record was repeated"
