"""Two relays killed again and again, poison on many keys, an operator with varying decisions."""

from __future__ import annotations

import os
import random

import pytest

from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, assert_published_in_order
from tests.integration.outbox_relay.outbox_writer import Happened, Writer
from tests.integration.outbox_relay.parking.made_topics import topics_fixture
from tests.integration.outbox_relay.parking.operator import Operator
from tests.integration.outbox_relay.relays import relay_process, running_relay, short_lived
from tests.integration.outbox_relay.test_failures import limit_record_bytes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.apache

LIMIT_BYTES = 20_000
KEYS = [f"key-{n}" for n in range(25)]
ROUNDS = 2


topics = topics_fixture(LIMIT_BYTES)


def write_some(writer: Writer, dice: random.Random) -> None:
    """Transactions over all keys, one in ten of them with an event too large."""
    for _ in range(40):
        writer.write(*dice.sample(KEYS, 8))
        if dice.random() < 0.1:
            writer.tell(Happened(name=dice.choice(KEYS), note=os.urandom(2 * LIMIT_BYTES).hex()))


def decide_some(operator: Operator, topic: str, dice: random.Random) -> None:
    """A replay of some keys, a Discarded event in place of some events."""
    for event in operator.parked():
        if event.reason.startswith("after "):
            continue
        if dice.random() < 0.5:
            operator.discard(event.event_id)
        elif dice.random() < 0.5:
            operator.replay(topic, event.key)


def is_carried_out(operator: Operator) -> bool:
    """True once the first event of each waiting key is undecided."""
    firsts = {event.key: event for event in reversed(operator.parked())}
    return all(event.request is None for event in firsts.values())


def test_order_holds_in_a_storm(
    writer: Writer, narrow: Settings, log: KafkaLog, topic: str, operator: Operator
) -> None:
    dice, hurried = random.Random(20260113), short_lived(narrow)
    for _ in range(ROUNDS):
        write_some(writer, dice)
        with relay_process(hurried), relay_process(hurried):
            wait_until(lambda: any(not event.reason.startswith("after ") for event in operator.parked()))
            write_some(writer, dice)
            decide_some(operator, topic, dice)
            wait_until(lambda: is_carried_out(operator))
    limit_record_bytes(narrow, topic, 1_000_000)
    with running_relay(narrow):
        wait_until(lambda: writer.unpublished() == 0)
        operator.replay_until_gone(topic)
        records = log.wait_for(len(writer.committed()))
    assert_published_in_order(records, writer.committed())
