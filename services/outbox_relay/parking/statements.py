"""The SQL of parking. Whatever changes ``outbox_parked`` holds the shards' rows of ``outbox_shard``, epoch compared."""

from __future__ import annotations

PARKED_KEYS = """
-- parking.keys: of shards just taken, with the event each key waits for
SELECT DISTINCT ON (shard, topic, key) shard, topic, key, event_id::text
  FROM outbox_parked WHERE shard = ANY (%(shards)s::smallint[])
 ORDER BY shard, topic, key, sequence
"""

PARK = """
-- parking.park: a refused event waits for an operator; one after it waits for it, and is replayed with the event
-- before it if this is asked for, or is replayed already
INSERT INTO outbox_parked (event_id, shard, id, topic, key, sequence, ce_type, ce_source, ce_subject, ce_time,
                           traceparent, signature, payload, reason, request, requested_by, requested_at, request_reason)
SELECT n.event_id, n.shard, n.id, n.topic, n.key, n.sequence, n.ce_type, n.ce_source, n.ce_subject, n.ce_time,
       n.traceparent, n.signature, n.payload, n.reason,
       CASE WHEN follows AND (last.event_id IS NULL OR last.request IS NOT NULL) THEN 'REPLAY' END,
       CASE WHEN follows THEN last.requested_by END, CASE WHEN follows THEN last.requested_at END,
       CASE WHEN follows THEN last.request_reason END
  FROM (SELECT i.*, NOT bool_or(refused) OVER (PARTITION BY topic, key ORDER BY sequence) AS follows
          FROM unnest(%(event_ids)s::uuid[], %(shards)s::smallint[], %(ids)s::bigint[], %(topics)s::text[],
                      %(keys)s::text[], %(sequences)s::bigint[], %(types)s::text[], %(sources)s::text[],
                      %(subjects)s::text[], %(times)s::text[], %(traceparents)s::text[], %(signatures)s::text[],
                      %(payloads)s::bytea[], %(reasons)s::text[], %(refused)s::boolean[])
                 AS i(event_id, shard, id, topic, key, sequence, ce_type, ce_source, ce_subject, ce_time, traceparent,
                      signature, payload, reason, refused)) n
  LEFT JOIN LATERAL (SELECT p.event_id, p.request, p.requested_by, p.requested_at, p.request_reason
                       FROM outbox_parked p WHERE p.topic = n.topic AND p.key = n.key
                      ORDER BY p.sequence DESC LIMIT 1) last ON true
ON CONFLICT (event_id) DO NOTHING
"""

REQUESTED = """
-- parking.requested: of each key with a decision about its first parked event, the first few; keys are found by
-- going from one to the next in the index of requests, however many events each has
WITH RECURSIVE asked(shard, topic, key) AS (
  (SELECT shard, topic, key FROM outbox_parked
    WHERE request IS NOT NULL AND shard = ANY (%(shards)s::smallint[]) ORDER BY shard, topic, key LIMIT 1)
  UNION ALL
  SELECT following.* FROM asked
   CROSS JOIN LATERAL (
     SELECT p.shard, p.topic, p.key FROM outbox_parked p
      WHERE p.request IS NOT NULL AND p.shard = ANY (%(shards)s::smallint[])
        AND (p.shard, p.topic, p.key) > (asked.shard, asked.topic, asked.key)
      ORDER BY p.shard, p.topic, p.key LIMIT 1) following
)
SELECT p.event_id::text, p.shard, p.topic, p.key, p.sequence, p.ce_type, p.ce_source, p.ce_subject, p.ce_time,
       p.traceparent, p.signature, p.discard_signature, p.payload, p.request, p.requested_by, p.requested_at,
       p.request_reason
  FROM asked
 CROSS JOIN LATERAL (
   SELECT q.* FROM outbox_parked q WHERE q.topic = asked.topic AND q.key = asked.key
    ORDER BY q.sequence LIMIT %(of_key)s) p
 WHERE (SELECT f.request FROM outbox_parked f WHERE f.topic = asked.topic AND f.key = asked.key
         ORDER BY f.sequence LIMIT 1) IS NOT NULL
 LIMIT %(limit)s
"""

HOLD = """
-- parking.hold: locks these shards against a takeover until this transaction ends; a missing one was lost
SELECT s.shard FROM outbox_shard s
  JOIN unnest(%(shards)s::smallint[], %(epochs)s::bigint[]) AS held(shard, epoch)
    ON s.shard = held.shard AND s.epoch = held.epoch
   FOR SHARE OF s
"""

LOCK = """
-- parking.lock: all rows about to change, in the order of operators' locks
SELECT count(*) FROM (
  SELECT FROM outbox_parked
   WHERE event_id IN (
     SELECT unnest(%(events)s::uuid[])
      UNION
     SELECT p.event_id FROM outbox_parked p
       JOIN unnest(%(topics)s::text[], %(keys)s::text[], %(refused)s::boolean[]) AS k(topic, key, refused)
         ON p.topic = k.topic AND p.key = k.key
      WHERE CASE WHEN k.refused THEN p.request = 'REPLAY' ELSE p.request IS NULL END
      UNION
     SELECT event_id FROM outbox_parked
      WHERE request = 'REPLAY' AND shard = ANY (%(shards)s::smallint[]) AND topic = ANY (%(blocked)s::text[]))
   ORDER BY event_id FOR UPDATE) locked
"""

KEEP_DISCARDED = """
-- parking.keep_discarded: events never published
INSERT INTO outbox_discarded (event_id, shard, topic, key, sequence, event_type, subject, reason, discarded_by)
SELECT event_id, shard, topic, key, sequence, ce_type, ce_subject, coalesce(request_reason, reason),
       coalesce(requested_by, '')
  FROM outbox_parked WHERE event_id = ANY (%(discarded)s::uuid[])
ON CONFLICT (event_id) DO NOTHING
"""

DELETE = """
-- parking.delete: published, or a Discarded event in their place
DELETE FROM outbox_parked WHERE event_id = ANY (%(done)s::uuid[])
"""

REFUSE_AGAIN = """
-- parking.refuse_again: it stays, with Kafka's present reason
UPDATE outbox_parked p SET reason = r.reason, request = NULL
  FROM unnest(%(event_ids)s::uuid[], %(reasons)s::text[]) AS r(event_id, reason)
 WHERE p.event_id = r.event_id
"""

WITHDRAW = """
-- parking.withdraw: events to be replayed after an event refused again
UPDATE outbox_parked p SET request = NULL
  FROM unnest(%(topics)s::text[], %(keys)s::text[]) AS k(topic, key)
 WHERE p.topic = k.topic AND p.key = k.key AND p.request = 'REPLAY'
"""

WITHDRAW_TOPICS = """
-- parking.withdraw_topics: a topic without records takes none of them
UPDATE outbox_parked SET request = NULL
 WHERE request = 'REPLAY' AND shard = ANY (%(shards)s::smallint[]) AND topic = ANY (%(blocked)s::text[])
"""

FOLLOW = """
-- parking.follow: the event a key waited for is decided, so the rest of it follows
UPDATE outbox_parked p
   SET request = 'REPLAY', requested_by = k.actor, requested_at = clock_timestamp(), request_reason = k.reason
  FROM unnest(%(topics)s::text[], %(keys)s::text[], %(actors)s::text[], %(reasons)s::text[])
         AS k(topic, key, actor, reason)
 WHERE p.topic = k.topic AND p.key = k.key AND p.request IS NULL
"""

LEFT = """
-- parking.left: those of these keys with parked events left
SELECT k.topic, k.key FROM unnest(%(topics)s::text[], %(keys)s::text[]) AS k(topic, key)
 WHERE EXISTS (SELECT FROM outbox_parked p WHERE p.topic = k.topic AND p.key = k.key)
"""
