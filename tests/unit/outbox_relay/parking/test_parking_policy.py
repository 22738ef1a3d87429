"""The part at fault in a refusal, and how long a topic stays blocked."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from services.outbox_relay.publishing.refusals import BlockedTopics, BlockState, Fault, fault_of, reason_of
from tests.unit.outbox_relay.clock import StandingClock


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_TIMESTAMP,
    ],
)
def test_record_that_kafka_cannot_take_is_at_fault(code: int) -> None:
    assert fault_of(KafkaError(code)) is Fault.RECORD


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    ],
)
def test_what_no_record_could_help_is_the_topics_fault(code: int) -> None:
    assert fault_of(KafkaError(code)) is Fault.TOPIC


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._PURGE_QUEUE,
        KafkaError._FATAL,
        KafkaError._GAPLESS_GUARANTEE,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.UNKNOWN,
        KafkaError._FAIL,
    ],
)
def test_all_else_is_worth_trying_again(code: int) -> None:
    assert fault_of(KafkaError(code)) is Fault.ELSEWHERE


def test_a_reason_names_the_error() -> None:
    assert reason_of(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)).startswith("MSG_SIZE_TOO_LARGE: ")


def test_blocked_topic_is_retried_after_delay_and_opened_by_success() -> None:
    clock = StandingClock()
    topics = BlockedTopics(clock, block_s=60)
    assert not topics
    topics.block("t", "because")
    assert (topics.state("t"), topics.state("u"), topics.reason("t")) == (
        BlockState.BLOCKED,
        BlockState.OPEN,
        "because",
    )
    clock.elapsed_s += 61
    assert topics
    assert topics.state("t") is BlockState.ON_TRIAL
    topics.block("t", "again")
    assert topics.state("t") is BlockState.BLOCKED
    topics.unblock("t")
    assert topics.state("t") is BlockState.OPEN
    assert not topics
