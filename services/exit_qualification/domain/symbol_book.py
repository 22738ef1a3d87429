"""SymbolBook: the last tick of one symbol, its open trades and their armed triggers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from services.exit_qualification.domain.exit_conditions import condition_holds
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.triggers import ArmedTriggers, Trigger, triggers_of
from shared.contracts.vocabulary import ExitReason
from shared.tick_clock import NEW_CLOCK_AFTER_MS, TickClock


@dataclass(frozen=True, slots=True)
class SymbolState:
    """What a checkpoint keeps of a symbol: price in units, times in micro- and milliseconds since 1970.

    `last_arrived_ms` is when the last tick came to Kafka; a market replayed has ticks of another day. 0: not known.
    """

    last_price: int
    last_ts_us: int
    last_seq: int
    last_arrived_ms: int = 0


@dataclass(frozen=True, slots=True)
class JudgedTrade:
    """A trade and its triggers, armed or not."""

    trade: OpenTrade
    triggers: dict[ExitReason, Trigger]


class SymbolBook(TickClock):
    """Everything that a tick of the symbol needs. Which reasons are disarmed is the service's knowledge."""

    __slots__ = ("armed", "last_price", "trades")

    def __init__(self, new_clock_after_ms: int = NEW_CLOCK_AFTER_MS) -> None:
        super().__init__(new_clock_after_ms)
        self.last_price = 0  # No price is 0: until the first tick the symbol has no state.
        self.trades: dict[UUID, JudgedTrade] = {}
        self.armed = ArmedTriggers()

    @property
    def state(self) -> SymbolState | None:
        """The last accepted tick; None before the first."""
        if not self.last_price:
            return None
        return SymbolState(self.last_price, self.last_ts_us, self.last_seq, self.last_arrived_ms)

    def restore(self, state: SymbolState) -> None:
        """Take up from a checkpoint. Fires nothing."""
        self.last_price = state.last_price
        self.start_at(state.last_ts_us, state.last_seq, state.last_arrived_ms)

    def has_ticked_since(self, instant_ms: int) -> bool:
        """Return whether the last tick arrived at that instant or later."""
        return self.last_price > 0 and self.last_arrived_ms >= instant_ms

    def put(self, trade: OpenTrade) -> None:
        """Hold a trade, with nothing armed."""
        self.trades[trade.trade_id] = JudgedTrade(trade, triggers_of(trade))

    def drop(self, trade_id: UUID) -> JudgedTrade:
        """Let go of a trade that is held, and of its triggers."""
        judged = self.trades.pop(trade_id)
        for trigger in judged.triggers.values():
            self.armed.disarm(trigger)
        return judged

    def due(self, trade_id: UUID, reasons: Iterable[ExitReason]) -> list[Trigger]:
        """Of a held trade's triggers for these reasons, those that the last price meets."""
        judged = self.trades[trade_id]
        if not self.last_price:
            return []
        return [judged.triggers[reason] for reason in reasons if condition_holds(judged.trade, reason, self.last_price)]
