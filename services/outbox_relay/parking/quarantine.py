"""Quarantine: rows handled apart from the batches, either tried one at a time or parked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from services.outbox_relay.parking.parked_events import ParkedEventStore, ParkedRun
from services.outbox_relay.parking.parked_keys import ParkedKeys
from services.outbox_relay.parking.suspects import Suspects
from services.outbox_relay.publishing.failures import delivery_failed
from services.outbox_relay.publishing.refusals import BlockedTopics, BlockState, Fault, Refused, fault_of, reason_of
from services.outbox_relay.publishing.single_record_sender import Record, SingleRecordSender
from services.outbox_relay.records import EVENT_ID, ID, KEY, PAYLOAD, SHARD, TOPIC, Key, Row, headers_of_row
from services.outbox_relay.shards.acknowledgements import Run
from services.outbox_relay.shards.shard import HeldShard


class Step(Enum):
    """Result for a shard's next rows."""

    SEND = "they go the usual way"
    QUARANTINED = "they went another way"
    BLOCKED = "they have to wait"


class _Verdict(Enum):
    SEND = "nothing speaks against it"
    TRY = "on its own, to see whether it is taken"
    FOLLOW = "to be parked after others of its key"
    BLOCKED = "to be parked because its topic takes nothing"


@dataclass
class Precautions:
    """Knowledge from rejections, kept across sessions."""

    suspects: Suspects
    blocked_topics: BlockedTopics


class Quarantine:
    """Decide row by row for affected shards; almost always there are none."""

    def __init__(
        self,
        store: ParkedEventStore,
        keys: ParkedKeys,
        sender: SingleRecordSender,
        known: Precautions,
        most_parked: int,
    ) -> None:
        self._store = store
        self._keys = keys
        self._sender = sender
        self._suspects = known.suspects
        self._blocked_topics = known.blocked_topics
        self._most_parked = most_parked
        self._tried: tuple[HeldShard, Row] | None = None
        self._unrecorded = 0

    def taken(self, shards: Collection[HeldShard]) -> None:
        """Start tracking newly owned shards."""
        if not shards:
            return
        for number, found in self._store.keys_of(shards).items():
            self._keys.load(number, found)
        for shard in shards:
            self._suspects.taken(shard.shard, shard.progress)

    def tend(self, held: Collection[HeldShard]) -> None:
        """Forget settled suspicions, given the held shards."""
        self._sender.poll()
        self._forget_trial_of_left_shard()
        self._keys.keep_only(shard.shard for shard in held)
        for shard in held:
            self._suspects.look_at(shard.shard, shard.progress)

    def concerns(self, shard: HeldShard) -> bool:
        """Return True if rows of this shard may need quarantine."""
        number = shard.shard
        if self._blocked_topics or self._keys.in_shard(number) or number in self._suspects.by_shard:
            return True
        # Events already on their way must not be sent the usual way too.
        return self.holds(shard)

    def holds(self, shard: HeldShard) -> bool:
        """Return True while a row of this shard is tried: a retry must not follow the next owner's records."""
        return self._tried is not None and self._tried[0] is shard

    def is_busy(self) -> bool:
        """Return True while a row is being tried."""
        return self._tried is not None

    def step(self, shard: HeldShard) -> Step:
        """Decide how to send the shard's next rows; split the batch where the decision changes.

        Raises
        ------
        DeliveryFailed
            A row was refused when tried, and neither the row nor its topic is at fault.
        """
        self._sender.poll()
        self._forget_trial_of_left_shard()
        rows = shard.unsent[0].rows
        if not rows:
            return Step.SEND
        if self._tried is not None and self._tried[0] is shard:
            return Step.BLOCKED if self._sender.is_busy() else self._settle(shard, rows[0])
        verdict = self._verdict(rows[0])
        if verdict is _Verdict.TRY:
            return self._try(shard, rows[0])
        if verdict is _Verdict.SEND:
            shard.cut(self._leading(shard, verdict))
            return Step.SEND
        if self._unrecorded >= self._most_parked:
            return Step.BLOCKED
        reasons = self._park_leading(shard, verdict)
        self._divert(shard, reasons, refused=verdict is _Verdict.BLOCKED)
        return Step.QUARANTINED

    def record(self, held: Collection[HeldShard]) -> list[Run]:
        """Store parked rows with nothing unacknowledged before them; return the runs acknowledged behind them."""
        if not self._unrecorded:
            return []
        ready = [shard for shard in held if isinstance(shard.acknowledgements.head, ParkedRun)]
        if not ready:
            return []
        passed = [run for shard in ready for run in _pass_parked(shard)]
        parked = [run for run in passed if isinstance(run, ParkedRun)]
        self._store.park(parked, ready)
        for row in (row for run in parked for row in run.rows):
            self._keys.recorded(row[SHARD], _key(row))
            self._unrecorded -= 1
        return [run for run in passed if not isinstance(run, ParkedRun)]

    def suspect(self, held: Collection[HeldShard], refused: Refused) -> None:
        """Mark the keys in flight as suspects after a rejection."""
        for shard in held:
            up_to = max(shard.acknowledgements.last_id(), refused.up_to)
            if up_to:
                self._suspects.add(shard.shard, refused.keys, up_to)

    def finish(self, limit_s: float) -> None:
        """Wait for Kafka to answer, so many seconds at most; then try nothing more."""
        self._sender.flush(limit_s)
        self.throw_away()

    def throw_away(self) -> None:
        """Try nothing more."""
        self._sender.throw_away()

    def _verdict(self, row: Row) -> _Verdict:
        key = _key(row)
        if self._keys.first_of(row[SHARD], key) is not None:
            return _Verdict.FOLLOW
        state = self._blocked_topics.state(row[TOPIC])
        if state is BlockState.BLOCKED:
            return _Verdict.BLOCKED
        if state is BlockState.ON_TRIAL or self._suspects.covers(row[SHARD], key, row[ID]):
            return _Verdict.TRY
        return _Verdict.SEND

    def _leading(self, shard: HeldShard, verdict: _Verdict) -> int:
        """Count the leading rows with this verdict."""
        rows = shard.unsent[0].rows
        return next((n for n, row in enumerate(rows) if self._verdict(row) is not verdict), len(rows))

    def _park_leading(self, shard: HeldShard, verdict: _Verdict) -> list[str]:
        """Park the keys of the next rows with this verdict; the reason for each row."""
        reasons: list[str] = []
        for row in shard.unsent[0].rows:
            if len(reasons) == self._most_parked or self._verdict(row) is not verdict:
                break
            reasons.append(self._reason(row, verdict))
            self._keys.park(row[SHARD], _key(row), row[EVENT_ID])
            self._unrecorded += 1
        return reasons

    def _reason(self, row: Row, verdict: _Verdict) -> str:
        if verdict is _Verdict.BLOCKED:
            return self._blocked_topics.reason(row[TOPIC])
        return f"after {self._keys.first_of(row[SHARD], _key(row))}"

    def _divert(self, shard: HeldShard, reasons: list[str], *, refused: bool) -> None:
        shard.cut(len(reasons))
        rows, reaches, _ = shard.unsent[0]
        shard.quarantined(ParkedRun(rows, reaches, reasons, refused=refused))

    def _try(self, shard: HeldShard, row: Row) -> Step:
        # Events of its key in flight must not be overtaken.
        if self._tried is None and not shard.acknowledgements.awaits_any():
            self._sender.send([Record(row[TOPIC], row[KEY], row[PAYLOAD], headers_of_row(row))])
            self._tried = (shard, row)
        return Step.BLOCKED

    def _forget_trial_of_left_shard(self) -> None:
        if self._tried is not None and self._tried[0].leaving and not self._sender.is_busy():
            self._tried = None

    def _settle(self, shard: HeldShard, row: Row) -> Step:
        self._tried = None
        (error,) = self._sender.answers()
        if error is None:
            self._blocked_topics.unblock(row[TOPIC])
            shard.cut(1)
            shard.quarantined(_acknowledged(shard))
            return Step.QUARANTINED
        fault = fault_of(error)
        if fault is Fault.ELSEWHERE:
            raise delivery_failed(error)
        if fault is Fault.TOPIC:
            self._blocked_topics.block(row[TOPIC], reason_of(error))
        self._keys.park(row[SHARD], _key(row), row[EVENT_ID])
        self._unrecorded += 1
        self._divert(shard, [reason_of(error)], refused=True)
        return Step.QUARANTINED


def _key(row: Row) -> Key:
    return row[TOPIC], row[KEY]


def _acknowledged(shard: HeldShard) -> Run:
    batch = shard.unsent[0]
    run = Run(_never, batch.reaches, batch.written_at)
    run.events = 1
    return run


def _never(*_: object) -> None:
    raise AssertionError("it is acknowledged already")


def _pass_parked(shard: HeldShard) -> list[Run]:
    passed: list[Run] = []
    while isinstance(head := shard.acknowledgements.head, ParkedRun):
        head.left = 0
        passed += shard.advance()
    return passed
