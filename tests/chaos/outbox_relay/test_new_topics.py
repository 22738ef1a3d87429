"""Topics just made, still choosing their leaders while a relay already sends: nothing is lost.

librdkafka takes the success of a later request for the success of an earlier one in flight too. A broker without a
state of the producer accepts any first sequence number. So with five requests in flight a batch refused with
NOT_LEADER was reported as delivered. CHAOS_MAX_IN_FLIGHT tries another number than the relay's own.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress

import pytest

from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.kafka.topic_changes import create_topics
from shared.settings import Settings
from tests.chaos.outbox_relay.checker import judge
from tests.chaos.outbox_relay.extent import DURATION_S, MAX_IN_FLIGHT
from tests.integration.outbox_relay.kafka_log import open_log
from tests.integration.outbox_relay.outbox_writer import Writer, open_writer
from tests.integration.outbox_relay.relays import RELAY, relay_process
from tests.support.waiting import LIMIT_S, wait_until

PARTITIONS = 24
EVENTS, BATCH = 2000, 1000
DRAIN_LIMIT_S = 30
TOPICS_OF_ONE_RELAY = 5

PATCHED = (
    "import services.outbox_relay.publishing.publisher as publisher; config = publisher.producer_config; "
    "publisher.producer_config = lambda settings: "
    f"{{**config(settings), 'max.in.flight.requests.per.connection': {MAX_IN_FLIGHT}}}; " + RELAY
)


@pytest.mark.chaos
@pytest.mark.timeout(DURATION_S + 120)
def test_on_topics_that_were_just_made_nothing_is_lost(
    settings: Settings, exit_relay: Settings, topics: TopicNames, writer: Writer
) -> None:
    program = PATCHED if MAX_IN_FLIGHT else RELAY
    ends_at, rounds = time.monotonic() + DURATION_S, 0
    while time.monotonic() < ends_at:
        with relay_process(exit_relay.model_copy(update={"relay_batch_size": BATCH}), program=program) as process:
            wait_until(lambda: None not in writer.owners())
            for _ in range(TOPICS_OF_ONE_RELAY):
                rounds += 1
                found = found_on_a_new_topic(settings, rounds)
                assert not found, (
                    f"topic {rounds}, {MAX_IN_FLIGHT or 'the usual number of'} requests in flight: {found}"
                )
            process.terminate()
            assert process.wait(LIMIT_S) == 0
    sys.stderr.write(f"{rounds} new topics\n")


def found_on_a_new_topic(settings: Settings, number: int) -> str:
    """Write to a topic just before and after it is made, with a relay at work; the checker's findings, or nothing."""
    names = TopicNames(f"{settings.kafka_topic_prefix}{number}.")
    topic = names.on_cluster(EXIT_INTENTS)
    own = settings.model_copy(update={"topic_partitions": PARTITIONS})
    with open_writer(settings, names) as writer:
        before = writer.committed()
        writer.write(f"{number}-0")
        create_topics(own, [topic])
        writer.write(*[f"{number}-{n % 200}" for n in range(1, EVENTS)])
        written = {event: row for event, row in writer.committed().items() if event not in before}
    with open_log(own, topic) as log:
        with suppress(AssertionError):  # the verdict names the missing events
            log.wait_for(EVENTS, DRAIN_LIMIT_S)
        verdict = judge(log.to_the_end(), written, most_duplicates=BATCH)
    return "" if verdict.is_sound else str(verdict)
