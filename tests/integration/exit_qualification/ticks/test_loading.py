"""The load of an engine: it ends when Kafka takes the partitions away."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from confluent_kafka import TopicPartition
from sqlalchemy import Engine

from services.exit_qualification.domain.square_off import NEVER
from services.exit_qualification.storage.open_trades import OpenedTrade, OpenTradeRepository
from services.exit_qualification.ticks import assignment, engine_loader
from services.exit_qualification.ticks.assignment import Assignment, Reassigned
from services.exit_qualification.ticks.batch import Layout
from services.exit_qualification.ticks.topic_identity import TickLog
from shared.kafka.clients import home_partition
from shared.kafka.consuming import WatchedConsumer
from tests.integration.exit_qualification.ticks.worker_harness import INFY, Book
from tests.support.trades import opened

LAYOUT = Layout("ticks", "trades", 12)
HOME = home_partition(INFY, LAYOUT.partitions)


class Member:
    """A member of the group with INFY's partition, and a few open trades there."""

    def __init__(self, book: Book, exit_engine: Engine) -> None:
        with book.engine.begin() as connection:
            OpenTradeRepository(connection).insert_opened([OpenedTrade(opened(), HOME, 0) for _ in range(3)])
        self.consumer = Mock(WatchedConsumer, admin=Mock(), consumer=Mock())
        log = Mock(TickLog)
        log.start.return_value = {}
        self.assignment = Assignment(self.consumer, log, LAYOUT, exit_engine, "worker", 1000, NEVER, Mock())
        self.assignment.subscribe()
        self.given(HOME)

    def given(self, *partitions: int) -> None:
        """Kafka assigns partitions."""
        told = self.consumer.consumer.subscribe.call_args.kwargs["on_assign"]
        told(Mock(), [TopicPartition(topic, number) for topic in LAYOUT.topics for number in partitions])

    def revoked(self) -> None:
        """Kafka takes them away."""
        self.consumer.consumer.subscribe.call_args.kwargs["on_revoke"]()


@pytest.fixture
def member(book: Book, exit_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Member:
    """A member with a report of each loaded trade."""
    monkeypatch.setattr(engine_loader, "TRADES_PER_REPORT", 1)
    monkeypatch.setattr(assignment, "bounds_of", Mock(return_value={}))
    return Member(book, exit_engine)


def test_a_load_polls_kafka_and_reports_each_part(member: Member, book: Book) -> None:
    reported: list[int] = []
    member.assignment.take_up(reported.append)
    assert reported == [1, 2, 3]
    assert member.consumer.take_by_partition.call_count == 3
    assert member.assignment.progress.held.keys() == {HOME}
    assert book.value("SELECT owner FROM tick_partitions") == "worker"


def test_a_load_ends_when_its_partitions_are_taken_away(member: Member, book: Book) -> None:
    member.consumer.take_by_partition.side_effect = lambda *_: member.revoked()
    with pytest.raises(Reassigned):
        member.assignment.take_up(lambda _: None)
    assert not member.assignment.is_settled
    assert not member.assignment.is_waiting
    assert book.rows("SELECT * FROM tick_partitions") == []


def test_partitions_given_during_a_load_wait_for_the_next(member: Member) -> None:
    member.consumer.take_by_partition.side_effect = lambda *_: member.given(HOME, (HOME + 1) % 12)
    with pytest.raises(Reassigned):
        member.assignment.take_up(lambda _: None)
    assert member.assignment.is_waiting
    member.consumer.take_by_partition.side_effect = None
    member.assignment.take_up(lambda _: None)
    assert member.assignment.progress.held.keys() == {HOME, (HOME + 1) % 12}
