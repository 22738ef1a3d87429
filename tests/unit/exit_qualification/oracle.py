"""The engine without any cleverness: every rule of every trade, from the ticks since its entry, at every step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from uuid import UUID

from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.plan import ExitPlan
from shared.money import to_units
from shared.tick_clock import TickOrder

DAY_US = 24 * 3600 * 1_000_000
IST_US = 19_800 * 1_000_000

Slot = tuple[ExitReason, int | None]
"""A rule of a trade: its reason, and the leg of a ladder."""
Found = tuple[UUID, tuple[tuple[ExitReason, int | None, int | None, int], ...]]
"""A qualified trade, and of each rule the reason, the leg, the price and the time in microseconds."""
EVERY_SLOT: list[Slot] = [
    (reason, leg) for reason in ExitReason for leg in (None, 1, 2, 3) if leg is None or reason is ExitReason.TARGET
]


@dataclass(frozen=True)
class Start:
    """Where a rule began: the progress of an earlier form of it since entry, its bricks, and how many were against."""

    gain: int = 0
    close: int | None = None
    last: int = 0
    against: int = 0


@dataclass
class Trade:
    """A trade and its past since entry: the prices of its symbol, and the first ones of days."""

    trade_id: UUID
    symbol: str
    direction: Direction
    entry: int
    entered_at_ms: int
    plan: ExitPlan
    seen: dict[Slot, list[tuple[int, bool]]] = field(default_factory=lambda: defaultdict(list))
    clock_ms: int = 0
    version: int = 1
    start: dict[Slot, Start] = field(default_factory=lambda: defaultdict(Start))

    @property
    def better(self) -> int:
        return 1 if self.direction is Direction.LONG else -1

    def see(self, price: int, *, opening: bool) -> None:
        for slot in EVERY_SLOT:
            self.seen[slot].append((price, opening))

    def has_rule(self, slot: Slot) -> bool:
        plan, bricks = self.plan, self.plan.bricks
        reason, leg = slot
        if leg is not None:
            return reason is ExitReason.TARGET and leg <= len(plan.targets or ())
        return {
            ExitReason.TARGET: plan.target is not None,
            ExitReason.STOP_LOSS: plan.stop_loss is not None,
            ExitReason.TRAILING_STOP: plan.trailing_stop is not None,
            ExitReason.BREAK_EVEN: plan.break_even is not None,
            ExitReason.BRICK_REVERSAL: bricks is not None and bricks.reversal is not None,
            ExitReason.TIME: plan.max_hold_s is not None,
        }.get(reason, False)

    def is_due(self, slot: Slot, price: int | None) -> bool:
        reason, _ = slot
        if reason is ExitReason.TIME:
            assert self.plan.max_hold_s is not None
            return self.clock_ms >= self.entered_at_ms + 1000 * self.plan.max_hold_s
        if reason is ExitReason.BRICK_REVERSAL:
            return self.reversal_is_complete()
        if reason in (ExitReason.TARGET, ExitReason.TRAILING_STOP) and self.plan.bricks and self.plan.bricks.confirm:
            return self.is_confirmed(slot, self.plan.bricks.confirm)
        return price is not None and self.is_met(slot, price, [each for each, _ in self.seen[slot]])

    def gains(self, slot: Slot, before: Iterable[int]) -> list[int]:
        return [0, self.start[slot].gain, *((each - self.entry) * self.better for each in before)]

    def follow(self, known: Trade) -> list[Slot]:
        """Go on from the trade with the plan before, and return the changed rules."""
        changed = []
        for slot in (each for each in EVERY_SLOT if self.has_rule(each)):
            if known.has_rule(slot) and known.part(slot) == self.part(slot):
                self.seen[slot], self.start[slot] = known.seen[slot], known.start[slot]
            else:
                changed.append(slot)
                if known.has_rule(slot):
                    self.start[slot] = known.stands(slot, self)
        time = (ExitReason.TIME, None)
        self.clock_ms = known.clock_ms if known.part(time) == self.part(time) else 0
        return changed

    def stands(self, slot: Slot, after: Trade) -> Start:
        """Return the progress of a rule, as far as its changed form can use it."""
        reason, _ = slot
        best = max(self.gains(slot, [each for each, _ in self.seen[slot]]))
        gain, trail, stop = 0, self.plan.trailing_stop, self.plan.break_even
        if reason is ExitReason.TRAILING_STOP and trail is not None:
            step = to_units(trail.step) if trail.step is not None else 1
            gain = best // step * step
        if reason is ExitReason.BREAK_EVEN and stop is not None:
            gain = to_units(stop.arm) if best >= to_units(stop.arm) else 0
        if not (self.counts_bricks(reason) and after.counts_bricks(reason)) or self.size() != after.size():
            return Start(gain)
        formed = list(chain.from_iterable(self.bricks(slot)))
        begun = self.start[slot]
        sign, close = formed[-1] if formed else (begun.last, begun.close)
        return Start(gain, close, sign, self.bricks_against() if reason is ExitReason.BRICK_REVERSAL else 0)

    def counts_bricks(self, reason: ExitReason) -> bool:
        bricks = self.plan.bricks
        if bricks is None:
            return False
        if reason is ExitReason.BRICK_REVERSAL:
            return bricks.reversal is not None
        return bricks.confirm is not None and reason in (ExitReason.TARGET, ExitReason.TRAILING_STOP)

    def size(self) -> int:
        assert self.plan.bricks is not None
        return to_units(self.plan.bricks.size)

    def is_met(self, slot: Slot, price: int, before: list[int]) -> bool:
        """Return whether an unconfirmed condition is true at a price, after other prices."""
        plan, up = self.plan, self.better
        reason, leg = slot
        gains = self.gains(slot, before)
        gain = (price - self.entry) * up
        if leg is not None:
            assert plan.targets is not None
            return price * up >= to_units(plan.targets[leg - 1].price) * up
        if reason is ExitReason.TARGET:
            assert plan.target is not None
            return price * up >= to_units(plan.target) * up
        if reason is ExitReason.STOP_LOSS:
            assert plan.stop_loss is not None
            return price * up <= to_units(plan.stop_loss) * up
        if reason is ExitReason.BREAK_EVEN:
            assert plan.break_even is not None
            return max(gains) >= to_units(plan.break_even.arm) and gain <= to_units(plan.break_even.offset)
        trail = plan.trailing_stop
        assert trail is not None
        if trail.amount is not None:
            return gain <= max(gains) - to_units(trail.amount)
        if trail.percent is not None:
            best = self.entry + up * max(gains)
            return price * up <= best * up - best * Fraction(trail.percent) / 100
        assert trail.step is not None
        assert trail.distance is not None
        step = to_units(trail.step)
        return gain <= max(gains) // step * step - to_units(trail.distance)

    def part(self, slot: Slot) -> object:
        """Return the part of the plan behind a rule."""
        plan, bricks = self.plan, self.plan.bricks
        confirm = (bricks.size, bricks.confirm) if bricks and bricks.confirm else None
        reason, leg = slot
        if leg is not None:
            assert plan.targets is not None
            return plan.targets[leg - 1].price, confirm
        return {
            ExitReason.TARGET: (plan.target, confirm),
            ExitReason.STOP_LOSS: plan.stop_loss,
            ExitReason.TRAILING_STOP: (plan.trailing_stop, confirm),
            ExitReason.BREAK_EVEN: plan.break_even,
            ExitReason.BRICK_REVERSAL: bricks and (bricks.size, bricks.reversal),
            ExitReason.TIME: plan.max_hold_s,
        }[reason]

    def bricks(self, slot: Slot) -> list[list[tuple[int, int]]]:
        """Return the bricks of each tick: +1 toward profit or -1, and the price at its end."""
        size, start = self.size(), self.start[slot]
        close, last, formed = self.entry if start.close is None else start.close, start.last, []
        for price, opening in self.seen[slot]:
            gain = (price - close) * self.better
            sign = 1 if gain > 0 else -1
            count = 0 if opening else abs(gain) // size - (0 if last in (0, sign) else 1)
            of_tick = []
            for _ in range(count):
                close += sign * self.better * size * (1 if last in (0, sign) else 2)
                last = sign
                of_tick.append((sign, close))
            formed.append(of_tick)
        return formed

    def reversal_is_complete(self) -> bool:
        assert self.plan.bricks is not None
        assert self.plan.bricks.reversal is not None
        return self.bricks_against() >= self.plan.bricks.reversal

    def bricks_against(self) -> int:
        against = self.start[ExitReason.BRICK_REVERSAL, None].against
        for sign, _ in chain.from_iterable(self.bricks((ExitReason.BRICK_REVERSAL, None))):
            against = 0 if sign > 0 else against + 1
        return against

    def is_confirmed(self, slot: Slot, needed: int) -> bool:
        toward = 1 if slot[0] is ExitReason.TARGET else -1
        count, met = 0, False
        for number, (seen, formed) in enumerate(zip(self.seen[slot], self.bricks(slot), strict=True)):
            prices = [price for price, _ in self.seen[slot][: number + 1]]
            met = self.is_met(slot, seen[0], prices)
            if not met or any(sign != toward for sign, _ in formed):
                count = 0
            else:
                count += sum(1 for _, close in formed if self.is_met(slot, close, prices))
        return met and count >= needed


@dataclass
class Last:
    price: int
    ts_us: int
    seq: int
    arrived_ms: int


def _day(_: str, ts_us: int) -> object:
    return (ts_us + IST_US) // DAY_US


class BruteForceEngine:
    """The promises of ExitSignalService, kept by looking at everything every time."""

    def __init__(self, new_clock_after_ms: int = 2000, session: Callable[[str, int], object] = _day) -> None:
        self.session = session
        self.late: dict[str, list[tuple[int, int]]] = {}
        self.new_clock_after_ms = new_clock_after_ms
        self.trades: dict[UUID, Trade] = {}
        self.off: set[tuple[UUID, ExitReason, int | None]] = set()
        self.last: dict[str, Last] = {}
        self.limits: dict[str, tuple[int, int, int]] = {}

    def add_trade(self, trade: Trade) -> list[Found]:
        if trade.trade_id in self.trades:
            return []
        self.trades[trade.trade_id] = trade
        last = self.last.get(trade.symbol)
        if last is None or last.arrived_ms < trade.entered_at_ms:
            return []
        trade.see(last.price, opening=self.session(trade.symbol, last.ts_us) is None)
        return self.fire([(trade.trade_id, *slot) for slot in self.rules(trade.trade_id)], None)

    def change_plan(self, trade: Trade) -> list[Found]:
        """A changed rule begins at the change, from its earlier progress; the last price decides at once."""
        known = self.trades.get(trade.trade_id)
        if known is None or trade.version <= known.version:
            return []
        self.trades[trade.trade_id] = trade
        changed = trade.follow(known)
        self.off &= {(each, *slot) for each in self.trades for slot in self.rules(each)}
        last = self.last.get(trade.symbol)
        if last is not None:
            for slot in changed:
                trade.seen[slot].append((last.price, self.session(trade.symbol, last.ts_us) is None))
        return self.fire([key for slot in changed if (key := (trade.trade_id, *slot)) not in self.off], None)

    def remove_trade(self, trade_id: UUID) -> None:
        self.trades.pop(trade_id, None)
        self.off = {key for key in self.off if key[0] != trade_id}

    def on_tick(self, symbol: str, price: int, ts_us: int, seq: int, arrived_ms: int) -> tuple[TickOrder, list[Found]]:
        day, lowest, highest = self.limits.get(symbol, (-1, 0, 0))
        if (ts_us + IST_US) // DAY_US == day and not lowest <= price <= highest:
            return TickOrder.OUTSIDE, []
        last = self.last.get(symbol)
        if last is not None:
            arrived_ms = max(arrived_ms, last.arrived_ms)
        ts_us = min(ts_us, arrived_ms * 1000) if ts_us // 1000 > arrived_ms else ts_us
        order = TickOrder.NEWEST
        if last is not None and (ts_us, seq) < (last.ts_us, last.seq):
            order = self._late(symbol, last.seq, seq, arrived_ms)
            if order is not TickOrder.NEW_CLOCK:
                return order, []
        self.late[symbol] = []
        session = self.session(symbol, ts_us)
        opening = session is None or (last is not None and self.session(symbol, last.ts_us) != session)
        self.last[symbol] = Last(price, ts_us, seq, arrived_ms)
        of_symbol = [each for each in self.trades.values() if each.symbol == symbol]
        for trade in of_symbol:
            trade.see(price, opening=opening)
        armed = [(each.trade_id, *slot) for each in of_symbol for slot in self.rules(each.trade_id)]
        by_price = [key for key in armed if key[1] is not ExitReason.TIME]
        return order, self.fire([key for key in by_price if key not in self.off], None)

    def _late(self, symbol: str, last_seq: int, seq: int, arrived_ms: int) -> TickOrder:
        """Look at every tick since the last one taken."""
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

    def on_clock(self, now_ms: int) -> list[Found]:
        for trade in self.trades.values():
            trade.clock_ms = max(trade.clock_ms, now_ms)
        time = (ExitReason.TIME, None)
        timed = [(each, *time) for each in self.trades if time in self.rules(each)]
        return self.fire([key for key in timed if key not in self.off], now_ms * 1000)

    def disarm(self, trade_id: UUID, reason: ExitReason, leg: int | None = None) -> None:
        """An exit of one leg leaves the other legs armed; one of the remainder disarms them all."""
        for rule, number in self.rules(trade_id):
            other_leg = rule is reason and leg is not None and number not in (None, leg)
            if rule.rank >= reason.rank and not other_leg:
                self.off.add((trade_id, rule, number))

    def rearm(self, keys: Iterable[tuple[UUID, ExitReason, int | None]]) -> list[Found]:
        back = set(keys) & self.off
        self.off -= back
        return self.fire(list(back), None)

    def rules(self, trade_id: UUID) -> list[Slot]:
        trade = self.trades.get(trade_id)
        return [] if trade is None else [slot for slot in EVERY_SLOT if trade.has_rule(slot)]

    def fire(self, armed: list[tuple[UUID, ExitReason, int | None]], at_us: int | None) -> list[Found]:
        due: dict[UUID, list[tuple[ExitReason, int | None, int | None, int]]] = {}
        for trade_id, reason, leg in armed:
            trade = self.trades[trade_id]
            last = self.last.get(trade.symbol)
            if trade.is_due((reason, leg), last.price if last else None):
                last_us = last.ts_us if last else 0
                found = (reason, leg, last.price if last else None, last_us if at_us is None else at_us)
                due.setdefault(trade_id, []).append(found)
                self.off.add((trade_id, reason, leg))
        return [
            (each, tuple(sorted(due[each], key=lambda found: (found[0].rank, found[1] or 0)))) for each in sorted(due)
        ]
