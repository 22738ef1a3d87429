"""An outbox with every state a dump may catch: published, half published, waiting, parked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Engine, text

from shared.ids import new_id
from shared.postgres.engine import open_engine
from tests.integration.outbox_relay.kafka_log import Record
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.support.servers import Database
from tests.support.waiting import wait_until

SCHEMA = "exit_qualification"

ADD_SIGNAL = text("""
INSERT INTO exit_signals (signal_id, trade_id, symbol, direction, exit_reason, episode_id, detected_at)
VALUES (CAST(:key AS uuid), CAST(:key AS uuid), 'NSE:INFY', 'LONG', 'TARGET', 1, clock_timestamp())
""")
PARTITIONS = text("""
CREATE TABLE outbox_event_old (LIKE outbox_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
DO $$ BEGIN
  EXECUTE format('ALTER TABLE outbox_event ATTACH PARTITION outbox_event_old FOR VALUES FROM (%L) TO (%L)',
                 current_date - 9, current_date - 8);
END $$;
ALTER TABLE outbox_event_old OWNER TO exitflow_migrator;
INSERT INTO outbox_event (event_id, shard, topic, key, sequence, ce_type, ce_source, ce_subject, ce_time, traceparent,
                          payload, created_at)
VALUES (gen_random_uuid(), 0, 'topic', 'old', 1, 'Filled', '/tests', 's', '2026-01-13T00:00:00Z', '00-a-b-01',
        '', current_date - 9);
SELECT outbox_make_partition(current_date)
""")
CLOSE = text("SELECT outbox_close_partition('outbox_event_old')")
PUBLISH_ALL = text("UPDATE outbox_shard SET snap = pg_current_snapshot()")
PUBLISH_HALF_A_WINDOW = text("""
UPDATE outbox_shard s SET next_snap = pg_current_snapshot(), owner = gen_random_uuid(), epoch = epoch + 1,
       pos = coalesce((SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY id) FROM outbox_event e
                        WHERE e.shard = s.shard AND NOT pg_visible_in_snapshot(e.xid, s.snap)), 0)
""")
PARK = text("""
INSERT INTO outbox_parked (event_id, shard, id, topic, key, sequence, ce_type, ce_source, ce_subject, ce_time,
                           traceparent, payload, reason)
SELECT event_id, shard, id, topic, key, sequence, ce_type, ce_source, ce_subject, ce_time, traceparent, payload,
       'too large' FROM outbox_event WHERE key = 'parked'
""")


@dataclass
class History:
    """The events written to an outbox, and the unpublished ones among them.

    Attributes
    ----------
    keys:
        Trade ids; each of the first ten has a published signal, each of the next ten an unpublished one.
    late:
        Keys of a transaction at work when the last window began.
    later:
        Keys of a transaction at work when it ended, with ids below the published half's.
    """

    engine: Engine
    writer: Writer
    keys: Sequence[str] = field(default_factory=lambda: [str(new_id()) for _ in range(80)])
    late: Sequence[str] = tuple(f"late-{n}" for n in range(80))
    later: Sequence[str] = tuple(f"later-{n}" for n in range(80))
    unpublished: set[str] = field(default_factory=set)

    def make(self) -> None:
        """Write it all, with progress recorded as a relay would have left it."""
        self._run(PARTITIONS)
        self._run(PUBLISH_ALL)
        wait_until(lambda: self._close() == "closed")
        self._write_with_signals(self.keys[:10])
        self.writer.write(*self.keys[10:], "parked")
        self._run(PARK)
        with self.writer.long_transaction(*self.late):
            self.writer.write(*self.keys)
            published = set(self.writer.committed())
            self._run(PUBLISH_ALL)
        with self.writer.long_transaction(*self.later):
            for _ in range(2):
                self.writer.write(*self.keys)
            self._run(PUBLISH_HALF_A_WINDOW)
            half = self._ids("SELECT event_id::text FROM outbox_event JOIN outbox_shard USING (shard) WHERE id <= pos")
        assert half - published
        self._write_with_signals(self.keys[10:20])
        self.writer.write(*self.keys[20:], *self.late)
        self.unpublished = set(self.writer.committed()) - published - half

    def signals(self) -> dict[str, str]:
        """The status of each signal."""
        with self.engine.connect() as connection:
            rows = connection.execute(text("SELECT signal_id::text, status FROM exit_signal_status")).all()
        return {row[0]: row[1] for row in rows}

    def partitions(self) -> dict[str, str]:
        """The state of each partition."""
        with self.engine.connect() as connection:
            rows = connection.execute(text("SELECT name, state FROM outbox_partition")).all()
        return {row[0]: row[1] for row in rows}

    def parked(self) -> int:
        """How many events are parked."""
        return len(self._ids("SELECT event_id::text FROM outbox_parked"))

    def _close(self) -> str:
        with self.engine.begin() as connection:
            return str(connection.execute(CLOSE).scalar_one())

    def _write_with_signals(self, keys: Sequence[str]) -> None:
        with self.engine.begin() as connection:
            for key in keys:
                connection.execute(ADD_SIGNAL, {"key": key})
            self.writer.append(connection, keys)

    def _run(self, statement: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(statement)

    def _ids(self, query: str) -> set[str]:
        with self.engine.connect() as connection:
            return set(connection.execute(text(query)).scalars())


@contextmanager
def opened(database: Database, writer: Writer, like: History | None = None) -> Iterator[History]:
    """The outbox of a database with an administrator's rights; of a restored one `like` the dumped one."""
    engine = open_engine(database.admin_url, SCHEMA, application="history")
    try:
        yield replace(like, engine=engine, writer=writer) if like else History(engine, writer)
    finally:
        engine.dispose()


def assert_published_to_the_end(records: Sequence[Record], committed: dict[str, tuple[str, int]]) -> None:
    """The published events of each key are its last ones, in order and without a gap."""
    by_key: dict[str, list[int]] = defaultdict(list)
    for record in records:
        by_key[record.key].append(record.sequence)
    last = {key: max(sequence for k, sequence in committed.values() if k == key) for key in by_key}
    for key, sequences in by_key.items():
        assert sequences == list(range(sequences[0], last[key] + 1)), key
