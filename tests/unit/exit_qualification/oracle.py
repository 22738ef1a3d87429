"""The engine without any cleverness: a loop over every trade and every rule. The real one must agree with it."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from services.exit_qualification.domain.candidates import ExitCandidate, ExitCandidates
from services.exit_qualification.domain.exit_conditions import PRICE_REASONS, condition_holds, level_of
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.symbol_book import SymbolState
from shared.contracts.vocabulary import ExitReason
from shared.tick_clock import TickOrder


class BruteForceEngine:
    """What ExitSignalService promises, by looking at everything every time."""

    def __init__(self, new_clock_after_ms: int = 2000) -> None:
        self.trades: dict[UUID, OpenTrade] = {}
        self.off: set[tuple[UUID, ExitReason]] = set()
        self.last: dict[str, SymbolState] = {}
        self.late: dict[str, list[tuple[int, int]]] = {}
        self.new_clock_after_ms = new_clock_after_ms

    def add_trade(self, trade: OpenTrade) -> list[ExitCandidates]:
        is_new = trade.trade_id not in self.trades
        self.trades[trade.trade_id] = trade
        self._forget_disarmed_but_for_rules_of_held_trades()
        last = self.last.get(trade.symbol)
        if not is_new or last is None or last.last_arrived_ms < trade.entered_at_ms:
            return []
        return self._fire([(trade, reason) for reason in self._rules(trade)])

    def remove_trade(self, trade_id: UUID) -> None:
        self.trades.pop(trade_id, None)
        self._forget_disarmed_but_for_rules_of_held_trades()

    def on_tick(
        self, symbol: str, price: int, ts_us: int, seq: int, arrived_ms: int
    ) -> tuple[TickOrder, list[ExitCandidates]]:
        last = self.last.get(symbol)
        if last is not None:
            arrived_ms = max(arrived_ms, last.last_arrived_ms)
        ts_us = min(ts_us, arrived_ms * 1000) if ts_us // 1000 > arrived_ms else ts_us
        order = TickOrder.NEWEST
        if last is not None and (ts_us, seq) < (last.last_ts_us, last.last_seq):
            order = self._late(symbol, last.last_seq, seq, arrived_ms)
            if order is not TickOrder.NEW_CLOCK:
                return order, []
        self.late[symbol] = []
        self.last[symbol] = SymbolState(price, ts_us, seq, arrived_ms)
        return order, self._fire(
            [
                (trade, reason)
                for trade in self.trades.values()
                for reason in self._rules(trade)
                if trade.symbol == symbol and (trade.trade_id, reason) not in self.off
            ]
        )

    def _late(self, symbol: str, last_seq: int, seq: int, arrived_ms: int) -> TickOrder:
        """Look at every tick since the last one that was taken."""
        earlier = self.late.setdefault(symbol, [])
        late = [*earlier, (seq, arrived_ms)]
        self.late[symbol] = late
        rising = [at for n, (each, at) in enumerate(late) if each > max([last_seq, *(s for s, _ in late[:n])])]
        raised = seq > max([last_seq, *(each for each, _ in earlier)])
        if raised and arrived_ms - rising[0] >= self.new_clock_after_ms:
            return TickOrder.NEW_CLOCK
        first = late[0][1]
        told = any(at - first >= self.new_clock_after_ms for _, at in earlier)
        return TickOrder.STALE if told or arrived_ms - first < self.new_clock_after_ms else TickOrder.STUCK

    def disarm(self, trade_id: UUID, reason: ExitReason) -> None:
        if trade_id in self.trades:
            lower = [each for each in self._rules(self.trades[trade_id]) if each.rank >= reason.rank]
            self.off |= {(trade_id, each) for each in lower}

    def rearm(self, trade_id: UUID, reasons: Iterable[ExitReason]) -> list[ExitCandidates]:
        back = {(trade_id, reason) for reason in reasons} & self.off
        self.off -= back
        return self._fire([(self.trades[trade_id], reason) for trade_id, reason in back])

    def _fire(self, armed: list[tuple[OpenTrade, ExitReason]]) -> list[ExitCandidates]:
        due: dict[UUID, list[ExitReason]] = {}
        for trade, reason in armed:
            state = self.last.get(trade.symbol)
            if state is not None and condition_holds(trade, reason, state.last_price):
                due.setdefault(trade.trade_id, []).append(reason)
                self.off.add((trade.trade_id, reason))
        return [self._candidates(self.trades[trade_id], due[trade_id]) for trade_id in sorted(due)]

    def _candidates(self, trade: OpenTrade, reasons: list[ExitReason]) -> ExitCandidates:
        state = self.last[trade.symbol]
        return ExitCandidates(
            trade,
            tuple(
                ExitCandidate(trade.trade_id, trade.symbol, reason, state.last_price, state.last_ts_us)
                for reason in sorted(reasons, key=list(ExitReason).index)
            ),
        )

    def _rules(self, trade: OpenTrade) -> list[ExitReason]:
        return [reason for reason in PRICE_REASONS if level_of(trade, reason) is not None]

    def _forget_disarmed_but_for_rules_of_held_trades(self) -> None:
        held = {(trade.trade_id, reason) for trade in self.trades.values() for reason in self._rules(trade)}
        self.off &= held
