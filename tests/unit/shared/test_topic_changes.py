"""A change of topics returns when the cluster shows it, not when the controller has accepted it."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from shared.errors import Unavailable
from shared.kafka import topic_changes
from shared.kafka.topics import TopicState
from shared.settings import Settings

BEFORE = {"ticks": TopicState("id", 4)}
AFTER = {"ticks": TopicState("id", 6)}
SILENCE = KafkaException(KafkaError(KafkaError._TIMED_OUT))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The brokers' answers about the topics, one a question; the last is repeated."""
    told: list[Any] = []

    def describe(_admin: object, _names: object) -> Any:
        answer = told.pop(0) if len(told) > 1 else told[0]
        if isinstance(answer, KafkaException):
            raise answer
        return answer

    accepted: Future[None] = Future()
    accepted.set_result(None)
    admin = SimpleNamespace(
        create_topics=lambda wanted, **_: {each.topic: accepted for each in wanted},
        create_partitions=lambda wanted, **_: {each.topic: accepted for each in wanted},
    )
    monkeypatch.setattr(topic_changes, "open_admin", lambda _settings: admin)
    monkeypatch.setattr(topic_changes, "partition_counts", lambda _admin, names: dict.fromkeys(names, 4))
    monkeypatch.setattr(topic_changes, "describe", describe)
    monkeypatch.setattr(topic_changes, "SHOWN_POLL_S", 0)
    return told


def test_growing_waits_for_brokers_that_show_the_old_number(answers: list[Any]) -> None:
    answers += [BEFORE, SILENCE, BEFORE, AFTER]
    assert topic_changes.grow_topics(Settings(), ["ticks"], 6) == ["ticks"]
    assert answers == [AFTER]


def test_creating_waits_for_brokers_that_do_not_know_the_topic(answers: list[Any]) -> None:
    answers += [{"ticks": None}, {"ticks": None}, AFTER]
    assert topic_changes.create_topics(Settings(topic_partitions=6), ["ticks"]) == ["ticks"]
    assert answers == [AFTER]


def test_change_never_shown_is_not_reported_as_done(answers: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_changes, "SHOWN_TIMEOUT_S", 0.05)
    answers += [BEFORE]
    with pytest.raises(Unavailable, match="change of ticks"):
        topic_changes.grow_topics(Settings(), ["ticks"], 6)
