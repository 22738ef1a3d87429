"""Sequence numbers of events within their topic and key, asked for in the transaction of the events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from operator import length_hint

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
        self._following: dict[Order, Iterator[int]] | None = None
        named = {"topics": [topic for topic, _ in orders], "keys": [key for _, key in orders]}
        self._sent = send(connection, NUMBER, named)

    def take(self, orders: Sequence[Order]) -> list[int]:
        """Return the number of each event, in their order.

        Raises
        ------
        ValueError
            There are events that no number was asked for.
        """
        following = self._answered()
        try:
            return [next(following[order]) for order in orders]
        except (KeyError, StopIteration):
            raise ValueError(f"too few numbers were asked for events of {sorted(set(orders))}") from None

    def give_back(self) -> None:
        """Give back, within a pipeline, those that no event took; none can be taken any more."""
        following, self._following = self._answered(), {}
        unused = {order: left for order, numbers in following.items() if (left := length_hint(numbers))}
        if unused:
            named = {
                "topics": [topic for topic, _ in unused],
                "keys": [key for _, key in unused],
                "unused": list(unused.values()),
            }
            send(self._connection, GIVE_BACK, named)

    def _answered(self) -> dict[Order, Iterator[int]]:
        """Return the numbers left of each order, after a wait for the answer."""
        if self._following is None:
            asked = self._asked
            self._following = {
                (topic, key): iter(range(last - asked[topic, key] + 1, last + 1))
                for topic, key, last in self._sent.rows()
            }
        return self._following
