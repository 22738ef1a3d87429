"""Where the time from a tick to its closed trade goes: medians between the rows of an exit."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from itertools import pairwise

import psycopg

from shared.clock import SystemClock

HOPS = ("intent", "order", "acceptance", "fill", "closure", "reader")
"""Ends of the hops; the first begins with the tick."""

TIMES = """
SELECT i.trade_id::text, extract(epoch FROM told.at)::float8, extract(epoch FROM i.submitted_at)::float8,
       extract(epoch FROM i.placed_at)::float8, extract(epoch FROM filled.at)::float8,
       extract(epoch FROM closed.at)::float8
  FROM exit_qualification.exit_intents i
  CROSS JOIN LATERAL (SELECT min(created_at) AS at FROM exit_qualification.outbox_event
                       WHERE key = i.trade_id::text AND ce_type LIKE '%%.ExitIntent%%') AS told
  CROSS JOIN LATERAL (SELECT min(created_at) AS at FROM exit_qualification.outbox_event
                       WHERE key = i.trade_id::text AND ce_type LIKE '%%.ExitIntentFilled.%%') AS filled
  CROSS JOIN LATERAL (SELECT min(created_at) AS at FROM trade_management.outbox_event
                       WHERE ce_subject = i.trade_id::text AND ce_type LIKE '%%.TradeClosed.%%') AS closed
 WHERE i.trade_id = ANY (%s::uuid[]) AND i.placed_at IS NOT NULL
"""
"""Rows are written just before their commit: a hop begins with the commit of the row before."""


def hops_ms(admin_url: str, sent: Mapping[str, float], seen: Mapping[str, float]) -> dict[str, float]:
    """Return the median milliseconds of each hop, by its end.

    Parameters
    ----------
    sent, seen:
        Monotonic times of the tick and of the readable TradeClosed, by trade.
    """
    clock = SystemClock()
    since_1970_s = clock.now().timestamp() - clock.monotonic()
    with psycopg.connect(admin_url) as connection:
        rows = connection.execute(TIMES, (list(sent),)).fetchall()
    found: list[list[float]] = [[] for _ in HOPS]
    for trade_id, *times in rows:
        steps = pairwise([sent[trade_id] + since_1970_s, *times, seen[trade_id] + since_1970_s])
        for hop, (began, ended) in zip(found, steps, strict=True):
            hop.append(1000 * (ended - began))
    return {name: statistics.median(hop) for name, hop in zip(HOPS, found, strict=True)}
