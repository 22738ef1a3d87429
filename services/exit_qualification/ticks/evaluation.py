"""Evaluation of batches by the engine: pure, from records to results to write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Final
from uuid import UUID

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from services.exit_qualification.domain.candidates import ExitCandidates
from services.exit_qualification.domain.exit_signal_service import ExitSignalService, QuietPath
from services.exit_qualification.domain.open_trade import entered
from services.exit_qualification.domain.planned_trade import with_plan
from services.exit_qualification.domain.square_off import NEVER, SquareOff
from services.exit_qualification.storage.open_trades import ChangedPlan, OpenedTrade
from services.exit_qualification.storage.trade_adjustments import AdjustedTrade
from services.exit_qualification.ticks.adjustments import adjusted_trade, plan_change_of, scale_of
from services.exit_qualification.ticks.batch import BatchResult, Layout, Misrouted, Records, Refused, in_order
from services.exit_qualification.ticks.held_ticks import HeldTicks
from services.exit_qualification.ticks.records import WITHOUT_EFFECT, Closed, TradeRecord, read_trade
from shared.contracts.ticks import parse_tick
from shared.contracts.trades import TradeAdjusted, TradeExitPlanChanged, TradeOpened
from shared.errors import MalformedMessage
from shared.instants import epoch_ms
from shared.kafka.clients import arrived_ms, headers_of, home_partition
from shared.kafka.consuming import offset_of
from shared.kafka.record_faults import read_record
from shared.outbox.signatures import TrustedKeys
from shared.tick_clock import TickOrder

NONE_AHEAD: Final[Mapping[str, int]] = MappingProxyType({})


class Evaluator:
    """Evaluates the records of the held partitions; it lives as long as its engine.

    The engine is ahead of the database until the result, or a later checkpoint, is written. Almost every tick passes
    its symbol's two nearest levels and is done; only the others reach the general path.

    Parameters
    ----------
    trusted:
        A trade event is accepted only if one of these keys signed it.
    ahead:
        Next tick offset of symbols ahead of their partition: their ticks before it are passed over.

    Attributes
    ----------
    held:
        Ticks that wait for newer circuit limits.
    """

    def __init__(
        self,
        engine: ExitSignalService,
        layout: Layout,
        held: Iterable[int],
        trusted: TrustedKeys,
        square_off: SquareOff = NEVER,
        ahead: Mapping[str, int] = NONE_AHEAD,
    ) -> None:
        self._engine = engine
        self._ahead = ahead
        self._layout = layout
        self._quiet: dict[int, dict[str, QuietPath]] = {partition: {} for partition in held}
        self._trusted = trusted
        self._square_off = square_off
        self.held = HeldTicks(layout.partitions)

    def evaluate(self, records: Records, now_ms: int) -> BatchResult:
        """Evaluate the records of held partitions in order; other records are left to their owners."""
        result = BatchResult()
        layout = self._layout
        for partition in sorted({partition for _, partition in records} & self._quiet.keys()):
            ticks = records.get((layout.ticks, partition), ())
            trades = records.get((layout.trades, partition), ())
            if not trades:
                self._take_ticks(ticks, partition, now_ms, result)
                continue
            for message in in_order(ticks, trades, now_ms):
                if message.topic() == layout.ticks:
                    self._take_ticks([message], partition, now_ms, result)
                else:
                    self._take_trade(message, partition, now_ms, result)
        return result

    def _take_ticks(self, messages: Sequence[Message], partition: int, now_ms: int, result: BatchResult) -> None:
        """Evaluate ticks. This loop runs for every tick: it calls and allocates as little as it can."""
        quiet = self._quiet[partition]
        path_of, others = quiet.get, 0
        for message in messages:
            try:
                symbol, price, ts_us, seq = parse_tick(message.value())
            except Exception:  # noqa: BLE001  # read again, with its error told apart
                others += 1
                self._refuse_tick(message, partition, result)
                continue
            kind, arrived = message.timestamp()
            if kind != TIMESTAMP_LOG_APPEND_TIME:
                arrived = now_ms
            passes = path_of(symbol)
            if passes is not None and passes(price, ts_us, seq, arrived):
                continue
            others += 1
            tick = (symbol, price, ts_us, seq, arrived)
            if symbol in self.held:
                self.held.hold(symbol, (message, tick))
            elif passes is not None or self._begins(symbol, message, partition, result):
                self._judge(message, tick, result, may_hold=True)
        result.evaluated += len(messages) - others

    def release(self, symbols: Iterable[str]) -> BatchResult:
        """Judge held ticks by limits asked for after they came; a tick beyond them since then is held again."""
        result = BatchResult()
        for symbol in symbols:
            decided, since = self.held.take(symbol)
            for message, tick in decided:
                self._judge(message, tick, result, may_hold=False)
            for message, tick in since:
                if symbol in self.held:
                    self.held.hold(symbol, (message, tick))
                else:
                    self._judge(message, tick, result, may_hold=True)
        return result

    def _refuse_tick(self, message: Message, partition: int, result: BatchResult) -> None:
        try:
            read_record(parse_tick, message.value())
        except MalformedMessage as error:
            self._refuse(message, partition, error, result)

    def _refuse(self, message: Message, partition: int, error: MalformedMessage, result: BatchResult) -> None:
        result.refused.append(Refused(message, error.code, str(error)))
        result.urgent.add(partition)

    def _begins(self, symbol: str, message: Message, partition: int, result: BatchResult) -> bool:
        """Return whether the symbol belongs on the partition and its state lacks the tick; remember it if so."""
        home = home_partition(symbol, self._layout.partitions)
        if home != partition:
            result.misrouted.append(Misrouted(message, symbol, home))
            return False
        if offset_of(message) < self._ahead.get(symbol, 0):
            return False
        self._quiet[partition][symbol] = self._engine.quiet_path(symbol)
        return True

    def _judge(
        self, message: Message, tick: tuple[str, int, int, int, int], result: BatchResult, *, may_hold: bool
    ) -> None:
        """Evaluate a tick with a possible effect; hold one beyond the limits, if it may be."""
        verdict = self._engine.on_tick(*tick)
        symbol, *_, arrived = tick
        if verdict.order is TickOrder.OUTSIDE:
            if may_hold and self._engine.books.has_trades(symbol):
                self._hold(message, tick)
            else:
                result.outside.append(symbol)
            return
        if not verdict.accepted:
            result.stale += 1
            if verdict.order is TickOrder.STUCK:
                result.stuck.append(symbol)
            return
        if verdict.order is TickOrder.NEW_CLOCK:
            result.new_clocks.append(symbol)
        result.evaluated += 1
        if verdict.candidates or verdict.order is TickOrder.NEW_CLOCK:
            result.urgent_symbols.add(symbol)
        if verdict.candidates:
            result.causing.append((message, verdict.candidates))
        for entry in verdict.candidates:
            result.detected.append(entry)
            result.arrived_ms.setdefault(entry.trade.trade_id, arrived)

    def _hold(self, message: Message, tick: tuple[str, int, int, int, int]) -> None:
        symbol = tick[0]
        self.held.hold(symbol, (message, tick))
        self._quiet[home_partition(symbol, self._layout.partitions)].pop(symbol, None)

    def _settle(self, symbol: str, result: BatchResult) -> None:
        """Judge the held ticks of a symbol by the known limits: they came before an event of one of its trades."""
        for message, tick in chain.from_iterable(self.held.take(symbol)):
            self._judge(message, tick, result, may_hold=False)

    def _take_trade(self, message: Message, partition: int, now_ms: int, result: BatchResult) -> None:
        """Follow a trade event; it is accepted on any partition, as before the topic grew its home was another."""
        try:
            headers = read_record(headers_of, message)
            event_type = headers.get("ce_type", "")
            event = read_record(read_trade, event_type, message.value(), arrived_ms(message, now_ms))
            if event is not None:
                read_record(self._trusted.verify, message, headers)
        except MalformedMessage as error:
            self._refuse(message, partition, error, result)
            return
        if event is None:
            result.unknown_events += event_type not in WITHOUT_EFFECT
            return
        self.follow(event, result)

    def follow(self, event: TradeRecord, result: BatchResult) -> None:
        """Project a trade; evaluate it if its home is held, else leave it to the holder of its partition."""
        home = home_partition(event.symbol, self._layout.partitions)
        result.homes.add(home)
        result.urgent_symbols.add(event.symbol)
        self._settle(event.symbol, result)
        if isinstance(event, Closed):
            self._engine.remove_trade(event.trade_id)
            result.closed.append(event.trade_id)
        elif isinstance(event, TradeOpened):
            self._open(event, home, result)
        elif isinstance(event, TradeExitPlanChanged):
            self._change_plan(event, result)
        elif isinstance(event, TradeAdjusted):
            self._adjust(event, result)

    def _open(self, event: TradeOpened, home: int, result: BatchResult) -> None:
        state = self._engine.books.state(event.symbol)
        result.opened.append(OpenedTrade(event, home, entered_tick=0 if state is None else state.ticks))
        # A tick with an earlier arrival than the trade's event can exit it here.
        trade = with_plan(entered(event), event.exit_plan, 1, self._square_off)
        found = self._engine.add_trade(trade) if home in self._quiet else []
        result.detected.extend(found)
        if found and state is not None:
            result.arrived_ms[event.trade_id] = state.last_arrived_ms

    def _change_plan(self, event: TradeExitPlanChanged, result: BatchResult) -> None:
        state = self._engine.books.state(event.symbol)
        result.plans.append(ChangedPlan(event, changed_tick=0 if state is None else state.ticks))
        known = self._engine.trade(event.trade_id)
        if known is not None:
            changed = with_plan(known, event.exit_plan, event.plan_version, self._square_off)
            result.detected.extend(self._engine.change_plan(changed))

    def _adjust(self, event: TradeAdjusted, result: BatchResult) -> None:
        """Change a trade as a corporate action says; it exits by the next tick of its symbol, not by the last one."""
        home = home_partition(event.new_symbol, self._layout.partitions)
        result.homes.add(home)
        result.urgent_symbols.add(event.new_symbol)
        self._settle(event.new_symbol, result)
        known, states = self._engine.trade(event.trade_id), {}
        if known is not None:
            states = self._engine.adjust_trade(
                adjusted_trade(known, event, self._square_off), scale_of(event), epoch_ms(event.effective_at)
            )
            if home not in self._quiet:
                self._engine.remove_trade(event.trade_id)
        after = self._engine.books.state(event.new_symbol)
        result.adjusted.append(AdjustedTrade(event, home, states))
        result.plans.append(ChangedPlan(plan_change_of(event), changed_tick=0 if after is None else after.ticks))


def in_rounds(detected: Sequence[ExitCandidates]) -> list[list[ExitCandidates]]:
    """Return the first decision of every trade, then the second of those with one, and so on, by trade.

    The first tick to meet a rule decides, as if each tick were a batch; a later one counts only if it had no effect.
    """
    by_trade: dict[UUID, list[ExitCandidates]] = {}
    for entry in detected:
        by_trade.setdefault(entry.trade.trade_id, []).append(entry)
    entries = [by_trade[trade_id] for trade_id in sorted(by_trade)]
    most = max(map(len, entries), default=0)
    return [[of_trade[nth] for of_trade in entries if nth < len(of_trade)] for nth in range(most)]
