"""Sequence numbers of events within their topic and key, asked for in the transaction of the events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, text

from shared.contracts.events import Event
from shared.postgres.hot_path import send

Order = tuple[str, str]
"""Topic and key: events are numbered within them."""


def order_of(event: Event) -> Order:
    """Return an event's topic, without the prefix of its cluster, and key."""
    return event.topic, event.key


NUMBER = text("""
-- outbox.number: sequence rows are locked in sorted order and before the events get their ids: per key the order of ids
-- is the order of locks and so of commits
INSERT INTO outbox_sequence AS s (topic, key, last)
SELECT topic, key, count(*) FROM unnest(CAST(:topics AS text[]), CAST(:keys AS text[])) AS i(topic, key)
 GROUP BY topic, key ORDER BY topic, key
ON CONFLICT (topic, key) DO UPDATE SET last = s.last + EXCLUDED.last
RETURNING s.topic, s.key, s.last
""")
GIVE_BACK = text("""
-- outbox.give_back: numbers that no event took; their rows are locked until the commit
UPDATE outbox_sequence s SET last = s.last - i.unused
  FROM unnest(CAST(:topics AS text[]), CAST(:keys AS text[]), CAST(:unused AS bigint[])) AS i(topic, key, unused)
 WHERE s.topic = i.topic AND s.key = i.key
""")


class Numbers:
    """Numbers of the next events, one for each order; asked for when made, within a pipeline."""

    def __init__(self, connection: Connection, orders: Sequence[Order]) -> None:
        self._connection = connection
        self._asked = Counter(orders)
        named = {"topics": [topic for topic, _ in orders], "keys": [key for _, key in orders]}
        self._sent = send(connection, NUMBER, named)

    def take(self, orders: Sequence[Order]) -> list[int]:
        """Return the number of each event, in their order; give back those no event takes.

        Raises
        ------
        ValueError
            There are events that no number was asked for.
        """
        used = Counter(orders)
        if not used <= self._asked:
            raise ValueError(f"no number was asked for events of {sorted(used - self._asked)}")
        following = {
            (topic, key): iter(range(last - self._asked[topic, key] + 1, last + 1))
            for topic, key, last in self._sent.rows()
        }
        if unused := self._asked - used:
            self._give_back(unused)
        return [next(following[order]) for order in orders]

    def _give_back(self, unused: Counter[Order]) -> None:
        named = {
            "topics": [topic for topic, _ in unused],
            "keys": [key for _, key in unused],
            "unused": list(unused.values()),
        }
        send(self._connection, GIVE_BACK, named)
