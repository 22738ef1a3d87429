"""The checker convicts each likely bug of a relay, where the relay itself passes the very same scene."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import psutil
import pytest

from deploy.local.kafka.broker import Broker
from shared.settings import Settings
from tests.chaos.outbox_relay.checker import Verdict, judge
from tests.integration.outbox_relay.kafka_log import KafkaLog
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import RELAY, relay_process, stopped
from tests.support.product_process import ProductProcess
from tests.support.waiting import LIMIT_S, wait_until


@dataclass(frozen=True)
class Stage:
    """Where a scene is played."""

    writer: Writer
    log: KafkaLog
    settings: Settings
    kafka: Broker

    def verdict_at(self, key: str, sequence: int, interruptions: int = 0) -> Verdict:
        """The verdict once this event is in the topic; all events committed before it must be there by then.

        Events in flight at a relay, and half as many again, may be repeated at each interruption.
        """
        self.log.wait_for_event(key, sequence)
        most_duplicates = 2 * self.settings.relay_batch_size * interruptions
        return judge(self.log.to_the_end(), self.writer.committed(), most_duplicates)

    def sole_owner(self) -> str:
        """The relay with every shard, once there is one."""
        wait_until(lambda: None not in self.writer.owners() and len(self.writer.owners()) == 1)
        (owner,) = self.writer.owners()
        assert owner is not None
        return owner


@pytest.fixture
def stage(writer: Writer, exit_relay: Settings, log: KafkaLog, kafka: Broker) -> Stage:
    """With the shortest lease there is, and few events in flight."""
    return Stage(writer, log, exit_relay.model_copy(update={"relay_lease_s": 1.0, "relay_batch_size": 10}), kafka)


def a_later_event_is_committed_first(stage: Stage, program: str) -> Verdict:
    """An id is given, a higher one is given, committed and published; then the first is committed."""
    with relay_process(stage.settings, program=program):
        with stage.writer.long_transaction("late"):
            stage.writer.write("early")
            stage.log.wait_for_event("early", 1)
        stage.writer.write("late")
        return stage.verdict_at("late", 2)


def an_older_transaction_writes_later(stage: Stage, program: str) -> Verdict:
    """A transaction has its number, a younger one writes and commits, then the older writes to the same key."""
    with relay_process(stage.settings, program=program):
        with stage.writer.old_transaction() as old:
            stage.writer.write("contested")
            stage.writer.append(old, ["contested"])
        stage.writer.write("contested")
        return stage.verdict_at("contested", 3)


def a_relay_dies_while_kafka_is_silent(stage: Stage, program: str) -> Verdict:
    """A relay is killed after reading an event and before Kafka takes it; the same program goes on."""
    assert stage.kafka.pid is not None
    with ExitStack() as silence, relay_process(stage.settings, program=program):
        stage.sole_owner()
        silence.enter_context(stopped(stage.kafka.pid))
        stage.writer.write("unsent")
        for _ in range(3):
            wait_for_renewal(stage.writer)
    with relay_process(stage.settings, program=program):
        stage.writer.write("unsent")
        return stage.verdict_at("unsent", 2, interruptions=1)


def wait_for_renewal(writer: Writer) -> None:
    """Return once the relay has renewed its lease, hence gone round its loop."""
    before = writer.relays_seen()
    wait_until(lambda: writer.relays_seen() != before)


def a_relay_wakes_after_its_successor_ended(stage: Stage, program: str) -> Verdict:
    """One stops itself between acknowledgement and record; its successor publishes far more and ends; it wakes."""
    with relay_process(stage.settings, "relay.after_ack=stop", program) as first:
        stage.sole_owner()
        stage.writer.write("key")
        wait_until(lambda: is_halted(first))
        with relay_process(stage.settings, program=program) as successor:
            for _ in range(10):
                stage.writer.write(*["key"] * 10)
            wait_until(lambda: stage.writer.unpublished() == 0)
            # The database may carry out the last statement of a killed one after the first has woken.
            successor.terminate()
            successor.wait(LIMIT_S)
        first.send_signal(signal.SIGCONT)
        stage.sole_owner()
        stage.writer.write("key")
        return stage.verdict_at("key", 102, interruptions=2)


def is_halted(process: ProductProcess) -> bool:
    """Whether it was sent SIGSTOP, by itself or others."""
    return bool(psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)


Scene = Callable[[Stage, str], Verdict]

BUGS: list[tuple[str, Scene, str]] = [
    ("id_cursor", a_later_event_is_committed_first, "lost"),
    ("xmin_cursor", an_older_transaction_writes_later, "disorder"),
    ("mark_before_ack", a_relay_dies_while_kafka_is_silent, "lost"),
    ("unfenced_checkpoint", a_relay_wakes_after_its_successor_ended, "repeated"),
]


PLANTED = "import runpy; runpy.run_module('tests.chaos.outbox_relay.planted.{}', run_name='__main__')"


@pytest.mark.parametrize(("bug", "scene", "kind"), BUGS, ids=[bug for bug, _, _ in BUGS])
def test_the_checker_convicts_a_relay_with(bug: str, scene: Scene, kind: str, stage: Stage) -> None:
    verdict = scene(stage, PLANTED.format(bug))
    assert kind in verdict.kinds, f"the bug {bug} went unnoticed\n{verdict}"


@pytest.mark.chaos
@pytest.mark.parametrize("scene", [scene for _, scene, _ in BUGS], ids=lambda scene: scene.__name__)
def test_the_relay_passes_where(scene: Scene, stage: Stage) -> None:
    verdict = scene(stage, RELAY)
    assert verdict.is_sound, str(verdict)
