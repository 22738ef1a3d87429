"""Events refused by Kafka park with the later events of their keys, and hold up nothing else."""

from __future__ import annotations

import os
import signal

import pytest

from shared.contracts.discarded import Discarded
from shared.outbox.signatures import SIGNATURE_HEADER
from shared.runtime.failpoints import Failpoint
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, Record, assert_published_in_order, sequences_by_key
from tests.integration.outbox_relay.outbox_writer import Happened, Writer
from tests.integration.outbox_relay.parking.made_topics import topics_fixture
from tests.integration.outbox_relay.parking.operator import ACT, Operator
from tests.integration.outbox_relay.relays import relay_process, running_relay, short_lived
from tests.integration.outbox_relay.test_failures import limit_record_bytes
from tests.support.signing import signed
from tests.support.waiting import LIMIT_S, wait_until

LIMIT_BYTES = 20_000
TOO_LARGE = 50_000
DISCARDED = "io.exitflow.Discarded.v1"

pytestmark = pytest.mark.apache


def others(count: int = 20) -> list[str]:
    """Keys of events accepted by Kafka."""
    return [f"key-{n}" for n in range(count)]


topics = topics_fixture(LIMIT_BYTES)


def poison(writer: Writer, key: str = "poison") -> None:
    """An event too large once the topic's limit is low."""
    writer.tell(Happened(name=key, note=os.urandom(TOO_LARGE).hex()))


def park_a_key(writer: Writer, narrow: Settings, operator: Operator) -> None:
    """A relay has parked three events of a key; Kafka refuses the first."""
    with running_relay(narrow):
        poison(writer)
        writer.write("poison", "poison", "other")
        wait_until(lambda: operator.parked_of("poison") == [1, 2, 3])


def all_but(writer: Writer, *keys: str) -> dict[str, tuple[str, int]]:
    """Every committed event of other keys."""
    return {event_id: event for event_id, event in writer.committed().items() if event[0] not in keys}


def of_keys_but(records: list[Record], *keys: str) -> list[Record]:
    """The records of other keys."""
    return [record for record in records if record.key not in keys]


def test_oversized_event_parks_later_ones_of_its_key_only(
    writer: Writer, narrow: Settings, log: KafkaLog, topic: str, operator: Operator
) -> None:
    with running_relay(narrow) as relay:
        writer.write(*others(), "poison")
        poison(writer)
        writer.write("poison", *others())
        wait_until(lambda: operator.parked_of("poison") == [2, 3])
        writer.write("poison", *others())
        wait_until(lambda: operator.parked_of("poison") == [2, 3, 4])
        records = log.wait_for(3 * 20 + 1)
        wait_until(relay.health.is_ready)
    first, *later = operator.parked()
    assert first.reason.startswith("MSG_SIZE_TOO_LARGE: ")
    assert [event.reason for event in later] == [f"after {first.event_id}"] * 2
    assert_published_in_order(of_keys_but(records, "poison"), all_but(writer, "poison"))
    assert sequences_by_key(records)["poison"] == [1]


def test_replayed_key_follows_in_order_and_flows_again(
    writer: Writer, narrow: Settings, log: KafkaLog, topic: str, operator: Operator
) -> None:
    with running_relay(narrow):
        writer.write("poison", *others())
        poison(writer)
        writer.write("poison", "poison")
        wait_until(lambda: operator.parked_of("poison") == [2, 3, 4])
        limit_record_bytes(narrow, topic, 1_000_000)
        operator.replay_until_gone(topic, "poison")
        writer.write("poison", *others())
        records = log.wait_for(len(writer.committed()))
        wait_until(lambda: writer.unpublished() == 0)
    assert_published_in_order(records, writer.committed())
    assert operator.parked() == []


def test_what_is_refused_again_stays_parked_in_order(
    writer: Writer, narrow: Settings, log: KafkaLog, topic: str, operator: Operator
) -> None:
    with running_relay(narrow):
        poison(writer)
        writer.write("poison")
        wait_until(lambda: operator.parked_of("poison") == [1, 2])
        operator.replay(topic, "poison")
        wait_until(lambda: {event.request for event in operator.parked()} == {None})
        writer.write("poison", "other")
        wait_until(lambda: operator.parked_of("poison") == [1, 2, 3])
        records = log.wait_for(1)
    assert [event.request for event in operator.parked()] == [None] * 3
    assert {record.key for record in records} == {"other"}


def test_discarded_event_leaves_sequenced_record_and_rest_follows(
    writer: Writer, narrow: Settings, log: KafkaLog, operator: Operator
) -> None:
    with running_relay(narrow):
        writer.write("poison")
        poison(writer)
        writer.write("poison")
        wait_until(lambda: operator.parked_of("poison") == [2, 3])
        refused, _ = operator.parked()
        operator.discard(refused.event_id)
        wait_until(lambda: operator.parked() == [])
        writer.write("poison")
        records = log.wait_for(4)
    assert_published_in_order(records, writer.committed())
    (discarded,) = [record for record in records if record.headers["ce_type"] == DISCARDED]
    assert (discarded.key, discarded.sequence, discarded.event_id) == ("poison", 2, str(refused.event_id))
    told = Discarded.model_validate_json(discarded.value)
    assert (told.discarded_type, told.reason, told.discarded_by) == ("io.exitflow.Happened.v1", ACT.reason, ACT.actor)
    assert operator.discarded() == [refused.event_id]
    for record in records:
        signature = record.headers.pop(SIGNATURE_HEADER)
        assert signed(refused.topic, record.key, record.value, record.headers)[SIGNATURE_HEADER] == signature


class Verbose(Happened):
    """An event with headers too large for the producer itself."""

    @property
    def subject(self) -> str:
        return "x" * 1_000_000


def test_an_event_that_the_producer_itself_refuses_parks_too(
    writer: Writer, narrow: Settings, log: KafkaLog, operator: Operator
) -> None:
    with running_relay(narrow):
        writer.tell(Happened(name="verbose"), Verbose(name="verbose"), Happened(name="verbose"), Happened(name="other"))
        wait_until(lambda: operator.parked_of("verbose") == [2, 3])
        records = log.wait_for(2)
    assert operator.parked()[0].reason.startswith("MSG_SIZE_TOO_LARGE: ")
    assert sequences_by_key(records) == {"verbose": [1], "other": [1]}


def test_many_keys_with_refused_events_all_park_and_all_replay(
    writer: Writer, narrow: Settings, log: KafkaLog, topic: str, operator: Operator
) -> None:
    keys = others(8)
    with running_relay(narrow):
        for key in keys:
            writer.write(*keys)
            poison(writer, key)
            writer.write(*keys, "other")
        wait_until(lambda: {event.key for event in operator.parked() if event.sequence > 1} == set(keys))
        limit_record_bytes(narrow, topic, 1_000_000)
        operator.replay_until_gone(topic)
        records = log.wait_for(len(writer.committed()))
    assert_published_in_order(records, writer.committed())


def test_a_relay_killed_while_it_parks_loses_and_disorders_nothing(
    writer: Writer, narrow: Settings, log: KafkaLog, topic: str, operator: Operator
) -> None:
    writer.write("poison", *others())
    poison(writer)
    writer.write("poison", *others())
    with relay_process(short_lived(narrow), f"{Failpoint.RELAY_BEFORE_PARK_COMMIT.value}=kill") as process:
        assert process.wait(LIMIT_S) == -signal.SIGKILL
    assert operator.parked() == []
    with running_relay(narrow):
        wait_until(lambda: operator.parked_of("poison") == [2, 3])
        limit_record_bytes(narrow, topic, 1_000_000)
        operator.replay_until_gone(topic)
        records = log.wait_for(len(writer.committed()))
    assert_published_in_order(records, writer.committed())


def test_a_relay_killed_while_it_replays_repeats_and_disorders_nothing(
    writer: Writer, narrow: Settings, log: KafkaLog, topic: str, operator: Operator
) -> None:
    park_a_key(writer, narrow, operator)
    refused, *_ = operator.parked()
    operator.discard(refused.event_id)
    with relay_process(short_lived(narrow), f"{Failpoint.RELAY_AFTER_REPLAY_ACK.value}=kill") as process:
        assert process.wait(LIMIT_S) == -signal.SIGKILL
    assert operator.parked_of("poison") == [1, 2, 3]
    writer.write("poison")
    with running_relay(narrow):
        wait_until(lambda: operator.parked() == [])
        records = log.wait_for(5)
    assert_published_in_order(records, writer.committed())
    assert len(records) > 5, "what was acknowledged and not on record was repeated"


def test_a_relay_that_takes_over_knows_what_is_parked(
    writer: Writer, narrow: Settings, log: KafkaLog, topic: str, operator: Operator
) -> None:
    with relay_process(short_lived(narrow)) as process:
        poison(writer)
        writer.write("poison", "other")
        wait_until(lambda: operator.parked_of("poison") == [1, 2])
        process.kill()
        writer.write("poison", "other")
        with running_relay(narrow):
            wait_until(lambda: operator.parked_of("poison") == [1, 2, 3])
            limit_record_bytes(narrow, topic, 1_000_000)
            operator.replay_until_gone(topic)
            records = log.wait_for(len(writer.committed()))
    assert_published_in_order(records, writer.committed())
