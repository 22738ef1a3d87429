"""A backlog with events refused by Kafka: each failure names the suspect keys."""

from __future__ import annotations

import os

import pytest

from services.outbox_relay.publishing.publisher import Publisher
from services.outbox_relay.publishing.refusals import Refused
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, assert_published_in_order
from tests.integration.outbox_relay.outbox_writer import Happened, Writer
from tests.integration.outbox_relay.parking.made_topics import topics_fixture
from tests.integration.outbox_relay.parking.operator import Operator
from tests.integration.outbox_relay.relays import running_relay
from tests.support.waiting import wait_until

pytestmark = pytest.mark.apache

LIMIT_BYTES = 400_000
POISON = ("poison-1", "poison-2", "poison-3")
MOST_SESSIONS = 2 * len(POISON)


topics = topics_fixture(LIMIT_BYTES)


@pytest.fixture
def learnt(monkeypatch: pytest.MonkeyPatch) -> list[Refused | None]:
    """Each session's knowledge of the refusal behind its end."""
    told: list[Refused | None] = []
    refused = Publisher.refused

    def noted(publisher: Publisher) -> Refused | None:
        told.append(refused(publisher))
        return told[-1]

    monkeypatch.setattr(Publisher, "refused", noted)
    return told


def test_every_failure_names_its_suspects(
    writer: Writer, exit_relay: Settings, log: KafkaLog, operator: Operator, learnt: list[Refused | None]
) -> None:
    keys = [f"key-{n}" for n in range(700)]
    for poison in POISON:
        for _ in range(10):
            writer.write(*keys)
        writer.tell(Happened(name=poison, note=os.urandom(LIMIT_BYTES).hex()))
    with running_relay(exit_relay):
        wait_until(lambda: all(operator.parked_of(poison) for poison in POISON))
        wait_until(lambda: writer.unpublished() == 0)
    assert 0 < len(learnt) <= MOST_SESSIONS
    assert all(refused is not None and refused.keys for refused in learnt)
    published = {event_id: event for event_id, event in writer.committed().items() if event[0] not in POISON}
    assert_published_in_order(log.to_the_end(), published)
