"""A relay's parking against a Kafka and a database of the test's own: everything may be refused, die and be decided."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import cast

from confluent_kafka import KafkaError

from services.outbox_relay.parking.parked_events import DecidedEvent, Outcome, ParkedEventStore, ParkedRun
from services.outbox_relay.parking.parked_keys import ParkedKeys
from services.outbox_relay.parking.quarantine import Precautions, Quarantine, Step
from services.outbox_relay.parking.replays import Replays
from services.outbox_relay.parking.suspects import Suspects
from services.outbox_relay.publishing.refusals import BlockedTopics, Refused
from services.outbox_relay.publishing.single_record_sender import Record, SingleRecordSender
from services.outbox_relay.records import (
    EVENT_ID,
    HEADERS,
    KEY,
    PAYLOAD,
    SEQUENCE,
    SHARD,
    TOPIC,
    Key,
    Row,
    headers_of_row,
)
from services.outbox_relay.shards.acknowledgements import Run
from services.outbox_relay.shards.progress import Progress
from services.outbox_relay.shards.shard import HeldShard
from tests.unit.outbox_relay.clock import BEGIN, StandingClock

SNAP, NEXT_SNAP = "10:10:", "20:20:"
TOPICS, KEYS, SHARDS, ROWS = ("t", "u"), ("a", "b", "c", "d"), 2, 40


class SessionOver(Exception):
    """A producer was refused something."""


@dataclass
class Kafka:
    """Takes records unless they are poison or their topic is blocked."""

    dice: random.Random
    poison: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)
    log: list[tuple[str, str, int]] = field(default_factory=list)

    def take(self, record: Record) -> KafkaError | None:
        """Append it, or say why not."""
        headers = dict(record.headers)
        if record.topic in self.blocked:
            return KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
        if headers["ce_id"] in self.poison and "Discarded" not in str(headers.get("ce_type")):
            return KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
        self.log.append((record.topic, record.key, int(str(headers["ce_sequence"]))))
        return None


class FakeSender:
    """Answers when the dice say so; a refusal may take its whole company along."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._records: Sequence[Record] = ()
        self._answers: list[KafkaError | None] = []
        self._busy = False

    def send(self, records: Sequence[Record]) -> None:
        assert not self._busy
        assert len({(record.topic, record.key) for record in records}) == len(records), "no two of a key"
        self._records, self._busy = records, True

    def is_busy(self) -> bool:
        return self._busy

    def poll(self, wait_s: float = 0) -> None:
        if not self._busy or self._kafka.dice.random() < 0.5:
            return
        self._busy = False
        refused = [error for record in self._records if (error := self._would_refuse(record)) is not None]
        if refused and self._kafka.dice.random() < 0.5:
            self._answers = [refused[0]] * len(self._records)
        else:
            self._answers = [self._kafka.take(record) for record in self._records]

    def _would_refuse(self, record: Record) -> KafkaError | None:
        kept = list(self._kafka.log)
        error = self._kafka.take(record)
        self._kafka.log[:] = kept
        return error

    def answers(self) -> list[KafkaError | None]:
        return self._answers


@dataclass
class Parked:
    """A row of the database."""

    row: Row
    request: str | None


class Database:
    """The traces of a relay: positions, and parked rows of each key in order."""

    def __init__(self) -> None:
        self.positions = dict.fromkeys(range(SHARDS), 0)
        self.parked: dict[Key, list[Parked]] = defaultdict(list)

    def keys_of(self, shards: Collection[HeldShard]) -> dict[int, list[tuple[Key, str]]]:
        found: dict[int, list[tuple[Key, str]]] = {shard.shard: [] for shard in shards}
        for key, rows in self.parked.items():
            if rows:
                found[rows[0].row[SHARD]].append((key, rows[0].row[EVENT_ID]))
        return found

    def record(self, shards: Collection[HeldShard]) -> None:
        for shard in shards:
            assert shard.progress.position >= self.positions[shard.shard]
            self.positions[shard.shard] = shard.progress.position
            shard.is_recorded(shard.progress)

    def park(self, runs: Sequence[ParkedRun], shards: Collection[HeldShard]) -> None:
        self.record(shards)
        blocked: set[Key] = set()
        for run in runs:
            for row in run.rows:
                key = row[TOPIC], row[KEY]
                if run.refused:
                    blocked.add(key)
                rows = self.parked[key]
                follows = key not in blocked and (not rows or rows[-1].request is not None)
                assert not rows or int(row[SEQUENCE]) > int(rows[-1].row[SEQUENCE])
                rows.append(Parked(row, "REPLAY" if follows else None))

    def decided(self, shards: Collection[int]) -> list[DecidedEvent]:
        found = []
        for key, rows in self.parked.items():
            for parked in rows[:3]:
                if parked.request is None or parked.row[SHARD] not in shards:
                    break
                found.append(_decided(key, parked))
        return found[:5]

    def conclude(self, outcome: Outcome, shards: Collection[HeldShard]) -> set[Key]:
        done = {event.event_id for event in outcome.done}
        for key, rows in self.parked.items():
            self.parked[key] = [parked for parked in rows if parked.row[EVENT_ID] not in done]
        for event, _ in outcome.refused:
            head = self.parked[event.order][0]
            assert head.row[EVENT_ID] == event.event_id, "only the first of a key is tried"
            head.request = None
            self._withdraw(event.order)
        for key in self.parked:
            if key[0] in outcome.blocked:
                self._withdraw(key)
        for key in outcome.keys_done():
            for parked in self.parked[key]:
                parked.request = parked.request or "REPLAY"
        return {key for key in outcome.keys_done() if not self.parked[key]}

    def _withdraw(self, key: Key) -> None:
        for parked in self.parked[key]:
            parked.request = None if parked.request == "REPLAY" else parked.request


def _decided(key: Key, parked: Parked) -> DecidedEvent:
    row = parked.row
    kind, source, subject, time, traceparent, signature = row[HEADERS]
    return DecidedEvent(
        row[EVENT_ID],
        row[SHARD],
        *key,
        int(row[SEQUENCE]),
        kind,
        source,
        subject,
        time,
        traceparent,
        signature,
        None,
        row[PAYLOAD],
        parked.request,
        "me",
        BEGIN,
        "why",
    )


class Relay:
    """A session as `Session` leads it, without threads and sockets; its producer sends in order, one at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        database, kafka = cast(ParkedEventStore, world.database), world.kafka
        keys = ParkedKeys()
        self.quarantine = Quarantine(
            database, keys, cast(SingleRecordSender, FakeSender(kafka)), world.precautions, most_parked=7
        )
        blocked_topics = world.precautions.blocked_topics
        self.replays = Replays(
            database, keys, cast(SingleRecordSender, FakeSender(kafka)), blocked_topics, lambda _: None
        )
        self.held = {
            number: HeldShard(number, 1, Progress(SNAP, NEXT_SNAP, position))
            for number, position in world.database.positions.items()
        }
        self.quarantine.taken(list(self.held.values()))
        self._in_flight: deque[tuple[Row, Run]] = deque()

    def step(self) -> None:
        """Once around the loop."""
        self._read()
        self._send()
        self.replays.look(self.held)
        self.replays.step(self.held)
        self._deliver()
        for shard in self.held.values():
            shard.advance()
        self.quarantine.record(self.held.values())
        if self._world.dice.random() < 0.3:
            self._world.database.record(self.held.values())

    def is_at_rest(self) -> bool:
        """True if nothing is left to do without an operator."""
        shards = self.held.values()
        published = all(not shard.unsent and not shard.acknowledgements.awaits_any() for shard in shards)
        return published and not self.replays.is_busy() and not self._world.database.decided(range(SHARDS))

    def _read(self) -> None:
        for shard in self.held.values():
            rows = [row for row in self._world.rows if row[SHARD] == shard.shard and row[1] > shard.read_to.position]
            if rows and not shard.unsent:
                shard.read(rows[: self._world.dice.randint(1, 9)], NEXT_SNAP, 0)

    def _send(self) -> None:
        for shard in self.held.values():
            while shard.unsent:
                step = self.quarantine.step(shard) if self.quarantine.concerns(shard) else Step.SEND
                if step is Step.QUARANTINED:
                    continue
                if step is Step.BLOCKED or len(self._in_flight) > 10:
                    break
                batch = shard.unsent[0]
                run = Run(lambda *_: None, batch.reaches, 0)
                run.consists_of(len(batch.rows), batch.reaches)
                self._in_flight.extend((row, run) for row in batch.rows)
                shard.sent(run)

    def _deliver(self) -> None:
        for _ in range(self._world.dice.randint(0, 6)):
            if not self._in_flight:
                return
            row, run = self._in_flight.popleft()
            error = self._world.kafka.take(Record(row[TOPIC], row[KEY], row[PAYLOAD], headers_of_row(row)))
            if error is not None:
                known = frozenset({(row[TOPIC], row[KEY])}) if self._world.dice.random() < 0.7 else frozenset[Key]()
                self.quarantine.suspect(self.held.values(), Refused(known))
                raise SessionOver
            run.left -= 1


class World:
    """Events over keys and topics, some of them poison, a relay with possible deaths, and an operator."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.clock = StandingClock()
        self.kafka = Kafka(self.dice)
        self.database = Database()
        self.rows = self._make_rows()
        self.precautions = Precautions(Suspects(), BlockedTopics(self.clock))

    def live(self, steps: int) -> None:
        """Relays work and fail, and the operator decides now and then."""
        relay = Relay(self)
        for _ in range(steps):
            self._disturb()
            if self.dice.random() < 0.02:
                self.precautions = Precautions(Suspects(), BlockedTopics(self.clock))
                relay = Relay(self)
            try:
                relay.step()
            except SessionOver:
                relay = Relay(self)

    def settle(self) -> None:
        """Everything is mended, and a replay of all parked events is asked for, until there is nothing left to do."""
        self.kafka.poison.clear()
        self.kafka.blocked.clear()
        relay = Relay(self)
        for _ in range(3000):
            self.clock.elapsed_s += 1
            relay.step()
            if relay.is_at_rest():
                if not any(self.database.parked.values()):
                    return
                self._decide_all()
        raise AssertionError(f"it does not come to rest: {dict(self.database.parked)}")

    def _make_rows(self) -> list[Row]:
        sequences: dict[Key, int] = defaultdict(int)
        rows: list[Row] = []
        for row_id in range(1, ROWS + 1):
            topic, key = self.dice.choice(TOPICS), self.dice.choice(KEYS)
            sequences[topic, key] += 1
            event_id = f"00000000-0000-7000-8000-{row_id:012d}"
            shard = KEYS.index(key) % SHARDS
            sequence = str(sequences[topic, key])
            rows.append((shard, row_id, topic, key, b"", event_id, sequence, *["x"] * 6, 0.0))
            if self.dice.random() < 0.1:
                self.kafka.poison.add(event_id)
        return rows

    def _disturb(self) -> None:
        self.clock.elapsed_s += self.dice.choice((0, 1, 30))
        if self.dice.random() < 0.02:
            self.kafka.blocked ^= {self.dice.choice(TOPICS)}
        if self.dice.random() < 0.05:
            self.kafka.poison -= {self.dice.choice(self.rows)[EVENT_ID]}
        rows = [parked for parked in self.database.parked.values() if parked]
        if rows and self.dice.random() < 0.1:
            chosen = self.dice.choice(rows)
            if self.dice.random() < 0.4:
                self.dice.choice(chosen).request = "DISCARD"
            else:
                for parked in chosen:
                    parked.request = parked.request or "REPLAY"

    def _decide_all(self) -> None:
        for rows in self.database.parked.values():
            for parked in rows:
                parked.request = parked.request or "REPLAY"
