"""Write side of the outbox: store events in the transaction of their cause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, text

from shared.clock import Clock, rfc3339
from shared.contracts.events import Event
from shared.contracts.topics import TopicNames
from shared.errors import InvalidInput
from shared.ids import new_id_text, new_traceparent
from shared.outbox.commit_signal import NOTIFY_RESTING
from shared.outbox.numbers import Numbers, Order, order_of
from shared.outbox.signatures import EventSigner, SignedParts
from shared.postgres.hot_path import pipelined, send

MAX_PAYLOAD_BYTES = 900_000
"""Below Kafka's default record limit of 1 MiB, with room for headers."""

PART = 256
"""Events of a transaction, signed and sent together."""

APPEND = text(f"""
-- outbox.append: headers unknown to the relay are written as they go on the wire; the payloads come in one piece, as
-- an array of them would be read character by character
WITH appended AS (
INSERT INTO outbox_event (event_id, shard, topic, key, sequence, ce_type, ce_source, ce_subject, ce_time, traceparent,
                          payload, signature)
SELECT event_id, hashtextextended(key, 0) & 63, topic, key, sequence, ce_type, ce_source, ce_subject,
       CAST(:time AS text), traceparent,
       substring(CAST(:payloads AS bytea) FROM payload_start FOR payload_bytes), signature
  FROM unnest(CAST(:event_ids AS uuid[]), CAST(:topics AS text[]), CAST(:keys AS text[]),
              CAST(:sequences AS bigint[]), CAST(:types AS text[]), CAST(:sources AS text[]),
              CAST(:subjects AS text[]), CAST(:traceparents AS text[]), CAST(:payload_starts AS integer[]),
              CAST(:payload_bytes AS integer[]), CAST(:signatures AS text[]))
         WITH ORDINALITY AS i(event_id, topic, key, sequence, ce_type, ce_source, ce_subject, traceparent,
                              payload_start, payload_bytes, signature, n)
 ORDER BY n)
{NOTIFY_RESTING}
""")  # noqa: S608  # our own text alone


@dataclass(frozen=True)
class Outbox:
    """Appends events to the outbox of the schema a connection works in."""

    topics: TopicNames
    clock: Clock
    signer: EventSigner

    def ask_numbers(self, connection: Connection, orders: Sequence[Order]) -> Numbers:
        """Ask for the numbers of events before these are made, for `append`, within a pipeline."""
        return Numbers(connection, self._on_cluster(orders))

    def append(
        self,
        connection: Connection,
        events: Sequence[Event],
        traceparents: Sequence[str | None] | None = None,
        numbers: Numbers | None = None,
    ) -> None:
        """Write one signed row per event, in order. Must be the last statements of the transaction.

        Parameters
        ----------
        traceparents:
            The trace of each event; those without one begin a new trace together.
        numbers:
            Asked for before.

        Raises
        ------
        InvalidInput
            A payload is larger than Kafka would take.
        ValueError
            `numbers` were not asked for one of the events.
        """
        if not events:
            return
        orders = self._on_cluster(map(order_of, events))
        begun = new_traceparent()
        traces = [trace or begun for trace in traceparents] if traceparents else [begun] * len(events)
        with pipelined(connection):
            numbers = numbers or Numbers(connection, orders)
            payloads = [_payload(event) for event in events]
            parts = self._parts(events, orders, numbers.take(orders), payloads)
            for first in range(0, len(parts), PART):
                # PostgreSQL writes a part while the next is signed.
                self._send(connection, parts[first : first + PART], traces[first : first + PART])

    def _on_cluster(self, orders: Iterable[Order]) -> list[Order]:
        return [(self.topics.on_cluster(topic), key) for topic, key in orders]

    def _send(self, connection: Connection, parts: Sequence[SignedParts], traceparents: Sequence[str]) -> None:
        sizes = [len(part.payload) for part in parts]
        parameters: dict[str, Any] = {
            "event_ids": [part.event_id for part in parts],
            "topics": [part.topic for part in parts],
            "keys": [part.key for part in parts],
            "sequences": [int(part.sequence) for part in parts],
            "types": [part.event_type for part in parts],
            "sources": [part.source for part in parts],
            "subjects": [part.subject for part in parts],
            "time": parts[0].time,
            "traceparents": list(traceparents),
            "payloads": b"".join([part.payload for part in parts]),
            "payload_starts": list(accumulate(sizes[:-1], initial=1)),
            "payload_bytes": sizes,
            "signatures": self.signer.sign_all(parts),
        }
        send(connection, APPEND, parameters)

    def _parts(
        self, events: Sequence[Event], orders: Sequence[Order], numbers: Sequence[int], payloads: Sequence[bytes]
    ) -> list[SignedParts]:
        """Return each event's signed parts."""
        time = rfc3339(self.clock.now())
        return [
            SignedParts(
                topic,
                key,
                str(number),
                new_id_text(),
                event.event_type(),
                event.source,
                event.subject,
                time,
                payload,
            )
            for event, (topic, key), number, payload in zip(events, orders, numbers, payloads, strict=True)
        ]


def _payload(event: Event) -> bytes:
    payload = event.payload()
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise InvalidInput(f"{event.event_type()} {event.subject}: {len(payload)} bytes are too many")
    return payload
