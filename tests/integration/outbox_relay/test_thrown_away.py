"""Dropped objects end at once; their threads do not wait for the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.outbox_relay.publishing.publisher import Publisher
from services.outbox_relay.publishing.single_record_sender import Record, SingleRecordSender
from shared.clock import SystemClock
from shared.settings import Settings
from tests.support.waiting import wait_until

NO_KAFKA = Settings(kafka_bootstrap_servers="127.0.0.1:1")


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """While inside, nothing is collected."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def threads() -> set[str]:
    """Threads of this process, librdkafka's too; those of other tests may still be ending."""
    return {task.name for task in Path("/proc/self/task").iterdir()}


def test_the_producers_threads_end() -> None:
    before = threads()
    publisher = Publisher(NO_KAFKA, SystemClock(), on_refused=lambda _: None)
    publisher.poll()
    own = threads() - before
    assert own
    publisher.throw_away()
    wait_until(lambda: not own & threads())


def test_a_second_time_does_no_harm() -> None:
    publisher = Publisher(NO_KAFKA, SystemClock(), on_refused=lambda _: None)
    publisher.drain(0)
    publisher.throw_away()
    publisher.poll(0.01)
    assert publisher.in_flight == 0
    assert publisher.refused() is None


def test_the_senders_threads_end_while_it_is_busy_too() -> None:
    before = threads()
    sender = SingleRecordSender(NO_KAFKA, on_refused=lambda _: None)
    sender.send([Record("topic", "key", b"{}", [])])
    own = threads() - before
    assert own
    sender.throw_away()
    sender.throw_away()
    wait_until(lambda: not own & threads())
