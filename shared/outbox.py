"""The write side of the outbox: events become rows of the transaction that caused them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from shared.clock import Clock, rfc3339
from shared.contracts.events import Event
from shared.contracts.topics import TopicNames
from shared.errors import InvalidInput
from shared.ids import new_id, new_traceparent

MAX_PAYLOAD_BYTES = 900_000
"""Below Kafka's default record limit of 1 MiB, with room for headers."""

APPEND = text("""
-- outbox.append: sequence rows are locked in sorted order, then the events get their ids, so that per key
-- the order of ids is the order of locks and so of commits. Headers that the relay cannot know are written as they
-- go on the wire
WITH input AS (
  SELECT * FROM unnest(CAST(:event_ids AS uuid[]), CAST(:topics AS text[]), CAST(:keys AS text[]),
                       CAST(:types AS text[]), CAST(:sources AS text[]), CAST(:subjects AS text[]),
                       CAST(:traceparents AS text[]), CAST(:payloads AS bytea[]))
           WITH ORDINALITY AS i(event_id, topic, key, ce_type, ce_source, ce_subject, traceparent, payload, n)
), numbered AS (
  SELECT input.*, row_number() OVER same_key AS nth, count(*) OVER (PARTITION BY topic, key) AS of_key
    FROM input WINDOW same_key AS (PARTITION BY topic, key ORDER BY n)
), locked AS (
  INSERT INTO outbox_sequence AS s (topic, key, last)
  SELECT topic, key, count(*) FROM input GROUP BY topic, key ORDER BY topic, key
  ON CONFLICT (topic, key) DO UPDATE SET last = s.last + EXCLUDED.last
  RETURNING s.topic, s.key, s.last
)
INSERT INTO outbox_event (event_id, shard, topic, key, sequence, ce_type, ce_source, ce_subject, ce_time, traceparent,
                          payload)
SELECT event_id, hashtextextended(key, 0) & 63, topic, key, last - of_key + nth, ce_type, ce_source, ce_subject,
       CAST(:time AS text), traceparent, payload
  FROM numbered JOIN locked USING (topic, key)
 ORDER BY n
""")


@dataclass(frozen=True)
class Outbox:
    """Appends events to the outbox of the schema a connection works in."""

    topics: TopicNames
    clock: Clock

    def append(
        self, connection: Connection, events: Sequence[Event], traceparents: Sequence[str | None] | None = None
    ) -> None:
        """Write one row per event, in order. Must be the last statement of the transaction.

        Parameters
        ----------
        traceparents:
            The trace of each event; those without one begin a new trace together.

        Raises
        ------
        InvalidInput
            A payload is larger than Kafka would take.
        """
        if not events:
            return
        begun = new_traceparent()
        given = traceparents or [None] * len(events)
        traces = [trace or begun for _, trace in zip(events, given, strict=True)]
        payloads = [event.payload() for event in events]
        for event, payload in zip(events, payloads, strict=True):
            if len(payload) > MAX_PAYLOAD_BYTES:
                raise InvalidInput(f"{event.event_type()} {event.subject}: {len(payload)} bytes are too many")
        parameters: dict[str, Any] = {
            "event_ids": [new_id() for _ in events],
            "topics": [self.topics.on_cluster(event.topic) for event in events],
            "keys": [event.key for event in events],
            "types": [event.event_type() for event in events],
            "sources": [event.source for event in events],
            "subjects": [event.subject for event in events],
            "time": rfc3339(self.clock.now()),
            "traceparents": traces,
            "payloads": payloads,
        }
        connection.execute(APPEND, parameters)
