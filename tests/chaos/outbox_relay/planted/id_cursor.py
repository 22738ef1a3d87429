"""Bug: ``id > last``. An id is given when a row is written, not when it is committed: a later commit is passed by."""

from __future__ import annotations

from tests.chaos.outbox_relay.planted.cursor import follow

SELECT = """
SELECT id, 0, topic, key, payload, event_id::text, sequence::text FROM outbox_event
 WHERE id > %s + %s ORDER BY id
"""

if __name__ == "__main__":
    follow(SELECT)
