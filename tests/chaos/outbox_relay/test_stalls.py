"""A relay stalled past its lease, at any point, while its producer goes on: it does no harm."""

from __future__ import annotations

import pytest

from shared.runtime.failpoints import Failpoint
from shared.settings import Settings
from tests.chaos.outbox_relay.checker import judge
from tests.integration.outbox_relay.kafka_log import KafkaLog
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import relay_process, running_relay
from tests.integration.outbox_relay.test_failures import RELAY_POINTS
from tests.support.waiting import wait_until

IN_FLIGHT = 100
LEASE_S, STALL_S = 1.0, 3.0


@pytest.mark.chaos
@pytest.mark.parametrize("point", RELAY_POINTS, ids=lambda point: point.value)
def test_a_relay_that_stalls_past_its_lease_wakes_without_harm(
    point: Failpoint, writer: Writer, exit_relay: Settings, log: KafkaLog
) -> None:
    narrow = exit_relay.model_copy(update={"relay_batch_size": IN_FLIGHT, "relay_lease_s": LEASE_S})
    for _ in range(10):
        writer.write(*[f"key-{n % 20}" for n in range(100)])
    with relay_process(narrow, f"{point.value}=stall:{STALL_S}") as staller:
        wait_until(lambda: None not in writer.owners())
        (stalled,) = writer.owners()
        with running_relay(narrow):
            # Another relay holds everything, then the continued one has its share again.
            wait_until(lambda: stalled not in writer.owners() and writer.unpublished() == 0)
            writer.write(*[f"key-{n % 20}" for n in range(100)])
            wait_until(lambda: writer.owners()[stalled] == 32)
            wait_until(lambda: writer.unpublished() == 0)
        assert staller.poll() is None
    verdict = judge(log.to_the_end(), writer.committed(), most_duplicates=2 * IN_FLIGHT)
    assert verdict.is_sound, str(verdict)
