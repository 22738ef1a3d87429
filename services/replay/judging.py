"""The engine over the ticks of a symbol: trades enter at their time, and the clock stops at every deadline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from uuid import UUID

from services.exit_qualification.domain.candidates import ExitCandidates, TickVerdict
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_hours import hours_of
from services.exit_qualification.domain.open_trade import OpenTrade, entered
from services.exit_qualification.domain.planned_trade import with_plan
from services.exit_qualification.domain.square_off import NEVER, SquareOff
from services.exit_qualification.ticks.adjustments import adjusted_trade, scale_of
from services.replay.book import BookedTrade
from services.replay.changes import Adjustment, Change, PlanChange
from services.replay.known_limits import NONE_KNOWN, KnownLimits
from services.replay.tape.recorded import RecordedTick
from shared.instants import epoch_ms

_ENTRY, _CHANGE, _DEADLINE = 0, 1, 2
"""Kinds of due items; at one time in this order."""

_Due = BookedTrade | tuple[UUID, Change] | None


class SymbolRun:
    """Judges the trades of one symbol, or of symbols linked by renamed trades.

    A trade is judged by the ticks at or after its entry. A deadline counts after the ticks of its millisecond. Ticks
    beyond the circuit limits of their day are refused.
    """

    def __init__(
        self,
        trades: Iterable[BookedTrade],
        square_off: SquareOff = NEVER,
        limits: KnownLimits = NONE_KNOWN,
    ) -> None:
        self._engine = ExitSignalService(hours=hours_of(square_off.calendars))
        self._engine.books.limit(limits)
        self._square_off = square_off
        self._numbers = count()
        self._booked: dict[UUID, BookedTrade] = {}
        self._due: list[tuple[int, int, int, _Due]] = []
        for each in trades:
            self._push(each.judged_from_ms, _ENTRY, each)
            for change in each.changes:
                self._push(change.at_ms, _CHANGE, (each.trade.trade_id, change))

    def advance(self, now_ms: int) -> Iterator[ExitCandidates]:
        """Yield the items due before the ticks of a time: deadlines before it, entries and changes up to it."""
        while self._due and self._due[0][:2] < (now_ms, _DEADLINE):
            at_ms, _, _, due = heappop(self._due)
            if due is None:
                yield from self._engine.on_clock(at_ms)
            elif isinstance(due, BookedTrade):
                yield from self._enter(due)
            else:
                yield from self._change(*due)

    def judge(self, tick: RecordedTick) -> TickVerdict:
        """Return the effect of a tick; `advance` must have reached its time."""
        return self._engine.on_tick(tick.symbol, tick.price, tick.ts_us, tick.seq, tick.at_ms)

    def judge_again(self, key: RuleKey) -> list[ExitCandidates]:
        """Allow a fired rule to fire again, and return the exits then caused by the last tick."""
        return self._engine.rearm([key])

    def end(self, trade_id: UUID) -> None:
        """Judge a trade no more."""
        self._engine.remove_trade(trade_id)

    def leg_filled(self, trade_id: UUID, leg: int) -> list[ExitCandidates]:
        """Change the plan of a trade as agreed for a filled leg; return the exits of the change."""
        known, booked = self._engine.trade(trade_id), self._booked[trade_id]
        plan = booked.plan.after_leg_filled(leg, booked.trade.direction, booked.trade.entry_price)
        if known is None or plan == booked.plan:
            return []
        self._booked[trade_id] = replace(booked, plan=plan)
        return self._engine.change_plan(with_plan(known, plan, known.plan_version + 1, self._square_off))

    def _enter(self, booked: BookedTrade) -> list[ExitCandidates]:
        trade = with_plan(entered(booked.trade), booked.plan, 1, self._square_off)
        self._booked[trade.trade_id] = booked
        found = self._engine.add_trade(trade)
        self._stop_at_deadlines(trade.trade_id, booked.judged_from_ms)
        return found

    def _change(self, trade_id: UUID, change: Change) -> list[ExitCandidates]:
        known = self._engine.trade(trade_id)
        if known is None:
            return []
        found = self._adjust(known, change) if isinstance(change, Adjustment) else self._replan(known, change)
        self._stop_at_deadlines(trade_id, change.at_ms)
        return found

    def _replan(self, known: OpenTrade, change: PlanChange) -> list[ExitCandidates]:
        self._booked[known.trade_id] = replace(self._booked[known.trade_id], plan=change.plan)
        return self._engine.change_plan(with_plan(known, change.plan, change.version, self._square_off))

    def _adjust(self, known: OpenTrade, change: Adjustment) -> list[ExitCandidates]:
        """Follow a corporate action; a trade exits by the next tick of its symbol."""
        told = change.told
        adjusted = adjusted_trade(known, told, self._square_off)
        self._engine.adjust_trade(adjusted, scale_of(told), epoch_ms(told.effective_at))
        return []

    def _stop_at_deadlines(self, trade_id: UUID, now_ms: int) -> None:
        """Stop the clock at the deadlines of a trade, at once at those that are over."""
        for state in self._engine.books.rule_states(trade_id).values():
            if state.deadline_ms is not None:
                self._push(max(state.deadline_ms, now_ms), _DEADLINE, None)

    def _push(self, at_ms: int, kind: int, due: _Due) -> None:
        heappush(self._due, (at_ms, kind, next(self._numbers), due))
