"""Metrics of a tick worker."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from services.exit_qualification.signal_management_service import DetectedExit
from services.exit_qualification.ticks.batch import BatchResult
from shared.instants import EPOCH
from shared.runtime.telemetry import counter, histogram
from shared.wording import listed

log = logging.getLogger(__name__)

MOST_SHOWN = 10

TICKS_EVALUATED = counter("exit_ticks_evaluated", "ticks judged")
TICKS_STALE = counter("exit_ticks_stale", "ticks dropped because a later one of their symbol was judged before")
TICKS_OUTSIDE = counter("exit_ticks_outside", "ticks dropped because they are beyond their day's circuit limits")
NEW_CLOCKS = counter("exit_tick_new_clocks", "times a symbol followed a producer with its clock set back")
SYMBOLS_STUCK = counter("exit_tick_symbols_stuck", "times every tick of a symbol was stale for long, and still is")
TICKS_FORWARDED = counter("exit_ticks_forwarded", "ticks put on the partition of their symbol")
RECORDS_REFUSED = counter("exit_records_refused", "records sent to a dead-letter topic", "topic", "code")
EVENTS_UNKNOWN = counter("exit_trade_events_unknown", "events on trades.v1 of an unknown type")
RELOADS = counter("exit_tick_reloads", "times the engine was thrown away and loaded again", "error")
TICK_TO_INTENT = histogram("exit_tick_to_intent_seconds", "from a tick's record to its committed exit")
BATCH_SECONDS = histogram("exit_tick_batch_seconds", "from a batch's records to its commit")


def count_batch(result: BatchResult) -> None:
    """Count an evaluated batch; after a restart, ticks since the last checkpoint are counted again."""
    TICKS_EVALUATED.inc(result.evaluated)
    TICKS_STALE.inc(result.stale)
    TICKS_OUTSIDE.inc(len(result.outside))
    EVENTS_UNKNOWN.inc(result.unknown_events)
    if result.new_clocks:
        NEW_CLOCKS.inc(len(result.new_clocks))
        log.warning(
            "%s: every tick was older than the last while seq rose; following the new clock of the producer",
            shown(result.new_clocks),
        )
    if result.stuck:
        SYMBOLS_STUCK.inc(len(result.stuck))
        log.warning(
            "%s: every tick is older than the last one and is dropped; check the clock of the producer",
            shown(result.stuck),
        )


def shown(symbols: Sequence[str]) -> str:
    """Return a few of the symbols, and the number of the others."""
    return listed(symbols, MOST_SHOWN)


def time_exits(exits: Sequence[DetectedExit], arrived_ms: Mapping[UUID, int], now: datetime) -> None:
    """Time written exits from the record of their tick; omit waiting exits: the batch has no tick of theirs."""
    now_ms = (now - EPOCH) / timedelta(milliseconds=1)
    for each in exits:
        if (arrived := arrived_ms.get(each.signal.trade_id)) is not None:
            TICK_TO_INTENT.observe(max(0.0, now_ms - arrived) / 1000)
