"""Bug: all transactions below xmin, by (xid, id). Nothing is lost, but numbers are given at a transaction's start: a
transaction after a wait for another's lock may have the lower number, and its event goes first.
"""

from __future__ import annotations

from tests.chaos.outbox_relay.planted.cursor import follow

SELECT = """
SELECT xid::text::bigint, id, topic, key, payload, event_id::text, sequence::text FROM outbox_event
 WHERE (xid::text::bigint, id) > (%s, %s) AND xid < pg_snapshot_xmin(pg_current_snapshot())
 ORDER BY xid::text::bigint, id
"""

if __name__ == "__main__":
    follow(SELECT)
