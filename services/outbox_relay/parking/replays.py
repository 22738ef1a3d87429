"""Carry out operators' decisions: publish parked events again, or Discarded events in their place."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaError

from services.outbox_relay.parking.parked_events import DecidedEvent, Outcome, ParkedEventStore
from services.outbox_relay.parking.parked_keys import ParkedKeys
from services.outbox_relay.publishing.failures import delivery_failed
from services.outbox_relay.publishing.refusals import BlockedTopics, Fault, fault_of, reason_of
from services.outbox_relay.publishing.single_record_sender import SingleRecordSender
from services.outbox_relay.records import Key
from services.outbox_relay.shards.shard import HeldShard
from shared.runtime.failpoints import Failpoint, failpoint


class Replays:
    """Decided events being published in waves of at most one event per key, so a rejection cannot disorder a key.

    After a rejection the wave is sent again one event at a time: Kafka rejects a whole batch for one record.
    `on_published` receives the number of published events.
    """

    def __init__(
        self,
        store: ParkedEventStore,
        keys: ParkedKeys,
        sender: SingleRecordSender,
        blocked_topics: BlockedTopics,
        on_published: Callable[[int], None],
    ) -> None:
        self._store = store
        self._keys = keys
        self._sender = sender
        self._blocked_topics = blocked_topics
        self._on_published = on_published
        self._waiting: dict[Key, deque[DecidedEvent]] = {}
        self._wave: list[DecidedEvent] = []
        self._outcome = Outcome()
        self._shards: set[int] = set()
        self._one_by_one = False

    def is_busy(self) -> bool:
        """Return True while decided events are being published."""
        return bool(self._shards)

    def holds(self, shard: HeldShard) -> bool:
        """Return True while decided events of this shard are being published; do not release it then."""
        return shard.shard in self._shards

    def look(self, held: Mapping[int, HeldShard]) -> None:
        """Load the decided events of the held shards; no query while nothing is parked."""
        if self.is_busy():
            return
        shards = [number for number in self._keys.shards() if number in held and not held[number].leaving]
        for event in self._store.decided(shards) if shards else ():
            self._waiting.setdefault(event.order, deque()).append(event)
            self._shards.add(event.shard)

    def step(self, held: Mapping[int, HeldShard]) -> None:
        """Go on as far as Kafka has answered.

        Raises
        ------
        DeliveryFailed
            An event is refused, and not for its own or its topic's fault.
        Fenced
            A shard was lost.
        """
        self._sender.poll()
        if not self.is_busy() or self._sender.is_busy():
            return
        self._take_answers()
        if self._waiting:
            self._send_wave()
        else:
            self._conclude(held)
            self.look(held)

    def finish(self, held: Mapping[int, HeldShard], limit_s: float) -> None:
        """Wait at most this many seconds, then store the published events; the others stay parked."""
        self._sender.flush(limit_s)
        if self.is_busy() and not self._sender.is_busy():
            self._take_answers()
            self._waiting.clear()
            self._conclude(held)
        self.throw_away()

    def throw_away(self) -> None:
        """Stop replaying; unfinished events are still parked."""
        self._sender.throw_away()

    def _send_wave(self) -> None:
        keys = list(self._waiting)[:1] if self._one_by_one else list(self._waiting)
        for key in keys:
            events = self._waiting[key]
            self._wave.append(events.popleft())
            if not events:
                del self._waiting[key]
        self._sender.send([event.record() for event in self._wave])

    def _take_answers(self) -> None:
        wave, self._wave = self._wave, []
        for event, error in zip(wave, self._sender.answers() if wave else (), strict=True):
            if error is None:
                self._on_published(1)
                self._outcome.done.append(event)
                self._blocked_topics.unblock(event.topic)
            elif len(wave) > 1:
                self._one_by_one = True
                self._waiting.setdefault(event.order, deque()).appendleft(event)
            else:
                self._refused(event, error)

    def _refused(self, event: DecidedEvent, error: KafkaError) -> None:
        fault, reason = fault_of(error), reason_of(error)
        if fault is Fault.ELSEWHERE:
            raise delivery_failed(error)
        self._one_by_one = False
        self._outcome.refused.append((event, reason))
        self._waiting.pop(event.order, None)
        if fault is Fault.TOPIC:
            self._blocked_topics.block(event.topic, reason)
            self._outcome.blocked.add(event.topic)
            self._waiting = {key: events for key, events in self._waiting.items() if key[0] != event.topic}

    def _conclude(self, held: Mapping[int, HeldShard]) -> None:
        failpoint(Failpoint.RELAY_AFTER_REPLAY_ACK)
        shard_of = {event.order: event.shard for event in self._outcome.done}
        for key in self._store.conclude(self._outcome, [held[shard] for shard in self._shards]):
            self._keys.released(shard_of[key], key)
        self._outcome = Outcome()
        self._shards.clear()
        self._one_by_one = False
