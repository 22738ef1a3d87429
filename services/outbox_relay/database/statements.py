"""The relay's SQL, one named statement per idea. Unqualified names mean the connection's schema.

A shard's window holds the rows made visible between two snapshots, (snap, next_snap]. Their transactions began after
the first snapshot or were running in it, and are visible in the second. The running transactions are joined, not
compared with an array made by a sub-select. Inside a LATERAL query PostgreSQL 18 makes such an array for the first
shard and reuses it for the others: events were lost. OFFSET 0 makes the planner look them up by shard and xid even
while it assumes a small table. Everything writing ``outbox_shard`` compares the epoch; a shard missing from the result
was lost to another relay.
"""

from __future__ import annotations

from services.outbox_relay.records import COLUMNS

CURRENT_SNAPSHOT = """
-- outbox.current_snapshot: unchanged while nothing was committed
SELECT pg_current_snapshot()::text, clock_timestamp()
"""

ENLIST = """
-- outbox.enlist: this relay is at work
INSERT INTO outbox_relay (relay_id) VALUES (%(me)s)
ON CONFLICT (relay_id) DO UPDATE SET seen_at = clock_timestamp()
"""

FORGET_DEAD = """
-- outbox.forget_dead: other relays with a lease run out, and those not seen for long
DELETE FROM outbox_relay r
 WHERE relay_id <> %(me)s
   AND (EXISTS (SELECT FROM outbox_shard s WHERE s.owner = r.relay_id AND s.lease_until < clock_timestamp())
        OR seen_at < clock_timestamp() - 60 * make_interval(secs => %(lease_s)s))
"""

RETIRE = """
-- outbox.retire: this relay is no longer at work
DELETE FROM outbox_relay WHERE relay_id = %(me)s
"""

CENSUS = """
-- outbox.census: relays at work, shards to share among them, and mine paused by an operator. A relay with shards is at
-- work until its own lease runs out, one without for a lease of mine since it was seen.
SELECT (SELECT count(*)
          FROM outbox_relay r
          LEFT JOIN (SELECT owner, min(lease_until) AS lease_until FROM outbox_shard GROUP BY owner) held
            ON held.owner = r.relay_id
         WHERE coalesce(held.lease_until, r.seen_at + make_interval(secs => %(lease_s)s)) > clock_timestamp()),
       count(*) FILTER (WHERE NOT paused),
       coalesce(array_agg(shard) FILTER (WHERE paused AND owner = %(me)s), '{}')
  FROM outbox_shard
"""

ACQUIRE = """
-- outbox.acquire: shards with an expired lease, by the database's clock
UPDATE outbox_shard
   SET owner = %(me)s, epoch = epoch + 1, lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
 WHERE shard IN (SELECT shard FROM outbox_shard
                  WHERE lease_until < clock_timestamp() AND NOT paused
                  ORDER BY shard LIMIT %(wanted)s FOR UPDATE SKIP LOCKED)
RETURNING shard, epoch, snap::text, next_snap::text, pos
"""

RENEW = """
-- outbox.renew: keep the leases
UPDATE outbox_shard s SET lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
  FROM unnest(%(shards)s::smallint[], %(epochs)s::bigint[]) AS held(shard, epoch)
 WHERE s.shard = held.shard AND s.epoch = held.epoch
RETURNING s.shard
"""

RELEASE = """
-- outbox.release: let another relay take over at once
UPDATE outbox_shard s SET owner = NULL, lease_until = '-infinity'
  FROM unnest(%(shards)s::smallint[], %(epochs)s::bigint[]) AS held(shard, epoch)
 WHERE s.shard = held.shard AND s.epoch = held.epoch
RETURNING s.shard
"""

RELINQUISH = """
-- outbox.relinquish: the shards of this relay before it lost its memory
UPDATE outbox_shard SET owner = NULL, lease_until = '-infinity', epoch = epoch + 1 WHERE owner = %(me)s
"""

_IN_WINDOW = """
 CROSS JOIN LATERAL (
   SELECT * FROM (
     SELECT * FROM outbox_event
      WHERE shard = ANY (held.shards::smallint[])
        AND xid >= pg_snapshot_xmax(held.snap) AND xid < pg_snapshot_xmax(held.next_snap)
        AND pg_visible_in_snapshot(xid, held.next_snap) AND id > held.pos
     UNION ALL
     SELECT late.* FROM pg_snapshot_xip(held.snap) AS was_at_work(xid)
      CROSS JOIN LATERAL (
        SELECT * FROM outbox_event
         WHERE shard = ANY (held.shards::smallint[]) AND xid = was_at_work.xid
           AND pg_visible_in_snapshot(xid, held.next_snap) AND id > held.pos
        OFFSET 0) late) in_window
   ORDER BY shard, id) e
"""

READ_WINDOWS = f"""
-- outbox.read_windows: the rows of windows after pos, shard by shard, each in order of id. Shards at the same place may
-- be looked up together: it is cheaper, but their rows are sorted together too.
SELECT {COLUMNS}
  FROM unnest($1::text[], $2::text[]::pg_snapshot[], $3::text[]::pg_snapshot[], $4::bigint[])
         AS held(shards, snap, next_snap, pos)
{_IN_WINDOW}
 LIMIT $5::bigint
"""  # noqa: S608  # our own text alone

READ_NEWS = f"""
-- outbox.read_news: as read_windows, from one place of all shards up to now; the last column is the end of the window
SELECT {COLUMNS}, held.next_snap::text
  FROM (VALUES ($1::text, $2::text::pg_snapshot, pg_current_snapshot(), 0::bigint))
         AS held(shards, snap, next_snap, pos)
{_IN_WINDOW}
 LIMIT $3::bigint
"""  # noqa: S608  # our own text alone

RECORD = """
-- outbox.record: all up to here is acknowledged
UPDATE outbox_shard s SET snap = held.snap, next_snap = held.next_snap, pos = held.pos
  FROM unnest(%(shards)s::smallint[], %(epochs)s::bigint[], %(snaps)s::text[]::pg_snapshot[],
              %(next_snaps)s::text[]::pg_snapshot[], %(positions)s::bigint[])
         AS held(shard, epoch, snap, next_snap, pos)
 WHERE s.shard = held.shard AND s.epoch = held.epoch
RETURNING s.shard
"""
