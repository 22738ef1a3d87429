"""Backlog of a shard: events not recorded as published, read in the relay's window order."""

from __future__ import annotations

from typing import LiteralString

LOOKED_AT = 1000
"""Most events of a shard to examine, oldest first: of a large window, half published, few wait."""

WAITING: LiteralString = f"""
   SELECT count(*) AS looked_at, count(*) FILTER (WHERE waits) AS backlog,
          coalesce(min(created_at) FILTER (WHERE waits),
                   CASE WHEN count(*) = {LOOKED_AT} THEN max(created_at) END) AS oldest FROM (
     SELECT created_at, id > s.pos OR NOT pg_visible_in_snapshot(xid, s.next_snap) AS waits FROM (
       SELECT late.* FROM pg_snapshot_xip(s.snap) AS was_at_work(xid)
        CROSS JOIN LATERAL (
          SELECT xid, id, created_at FROM outbox_event
           WHERE shard = s.shard AND xid = was_at_work.xid
          OFFSET 0) late
       UNION ALL
       SELECT xid, id, created_at FROM outbox_event
        WHERE shard = s.shard AND xid >= pg_snapshot_xmax(s.snap)) unseen
      LIMIT {LOOKED_AT}) looked_at
"""  # noqa: S608  # our own text alone
"""A row for a shard `s`, to be joined laterally.

Events below `pos` count too if they became visible after the frozen window. If all events looked at are
published, the oldest waiting one is younger than these, and `oldest` is the time of the last of them.
"""
