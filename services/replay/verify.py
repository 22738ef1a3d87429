"""Verification: decisions of the rules on a recorded tape, against the stored exits."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from services.exit_qualification.domain.candidates import ExitCandidate, ExitCandidates, in_steps
from services.exit_qualification.domain.square_off import NEVER, SquareOff
from services.replay.book import BookedTrade
from services.replay.judging import SymbolRun
from services.replay.known_limits import NONE_KNOWN, KnownLimits
from services.replay.renamed import HeldTicks, linked_symbols
from services.replay.stored import StoredSignal, differing, words
from services.replay.tape.recorded import RecordedTick
from shared.contracts.exits import ExitSignalPublished
from shared.contracts.vocabulary import Direction, ExitReason
from shared.instants import EPOCH
from shared.money import from_units, to_units

CLOCK_LAG_US: Final = 10_000_000
"""Most time from a deadline to its exit: the worker looks at its clock between batches of ticks."""
_BY_CLOCK: Final = ("detected_at", "detected_price")
"""Fields of an exit by the clock depending on the worker's time of looking at it."""
_END_US: Final = 2**63


@dataclass(frozen=True, slots=True)
class Difference:
    """Stored exits of a trade that differ from the decisions of its rules."""

    trade_id: UUID
    symbol: str
    what: str


@dataclass(frozen=True, slots=True)
class Verified:
    """Result of a verification.

    Attributes
    ----------
    same:
        Number of stored exits equal to a decision of the rules.
    by_hand:
        Number of stored exits without a rule behind them.
    unknown:
        Number of stored exits of trades missing in the book.
    """

    same: int
    by_hand: int
    unknown: int
    differences: tuple[Difference, ...]


def verification(verified: Verified) -> dict[str, Any]:
    """Return a result as a JSON document."""
    return {
        "same": verified.same,
        "by_hand": verified.by_hand,
        "unknown": verified.unknown,
        "differences": [
            {"trade_id": str(each.trade_id), "symbol": each.symbol, "what": each.what} for each in verified.differences
        ],
    }


class Verifier:
    """Judges a tape and compares the exits; the ticks of a symbol come in the order of their judgement then.

    The first exit of a trade must be the decision of the rules. A later one follows an exit without a fill: its
    time depends on the broker, so its rule must hold at the tick it names. Nothing is compared after the first
    difference of a trade.
    """

    def __init__(
        self,
        trades: Iterable[BookedTrade],
        stored: Sequence[StoredSignal],
        square_off: SquareOff = NEVER,
        limits: KnownLimits = NONE_KNOWN,
    ) -> None:
        self._square_off, self._limits = square_off, limits
        book = list(trades)
        self._market_of = linked_symbols(book)
        self._book: dict[str, list[BookedTrade]] = defaultdict(list)
        self._checks: dict[UUID, _TradeCheck] = {}
        for each in book:
            self._book[self._market_of[each.trade.symbol]].append(each)
            self._checks[each.trade.trade_id] = _TradeCheck(each.trade.trade_id, each.trade.symbol)
        self._unknown = 0
        self._last_stored_ms = max((each.at_us // 1000 for each in stored), default=0)
        for signal in stored:
            check = self._checks.get(signal.event.trade_id)
            if check is None:
                self._unknown += 1
            else:
                check.expected.append(signal)
        self._markets: dict[str, _MarketCheck] = {}
        self._held = {name: HeldTicks() for symbol, name in self._market_of.items() if symbol != name}
        self._last_ms = 0

    def play(self, tick: RecordedTick) -> None:
        """Judge the next tick; those of linked symbols are judged at the end."""
        self._last_ms = max(self._last_ms, tick.at_ms)
        name = self._market_of.get(tick.symbol)
        if name in self._held:
            self._held[name].add(tick)
        elif name is not None:
            self._judge(name, tick)

    def end(self) -> Verified:
        """Judge everything due by the time of the last tick or stored exit, and return the result."""
        for name, held in self._held.items():
            for tick in held.in_turn():
                self._judge(name, tick)
        for market in self._markets.values():
            market.end(max(self._last_ms, self._last_stored_ms))
        for check in self._checks.values():
            check.end()
        checks = self._checks.values()
        return Verified(
            same=sum(each.same for each in checks),
            by_hand=sum(each.by_hand for each in checks),
            unknown=self._unknown,
            differences=tuple(each.difference for each in checks if each.difference is not None),
        )

    def _judge(self, name: str, tick: RecordedTick) -> None:
        market = self._markets.get(name)
        if market is None:
            trades = [each.entered_by(tick.at_ms) for each in self._book[name]]
            checks = {each.trade.trade_id: self._checks[each.trade.trade_id] for each in trades}
            market = self._markets[name] = _MarketCheck(SymbolRun(trades, self._square_off, self._limits), checks)
        market.play(tick)


@dataclass(slots=True)
class _TradeCheck:
    """One trade: the stored exits still to come.

    Attributes
    ----------
    episodes:
        Last episode of each reason; the legs of a ladder share theirs.
    by_clock:
        Stored exit by the clock without a price yet, and its possible prices.
    """

    trade_id: UUID
    symbol: str
    expected: deque[StoredSignal] = field(default_factory=deque)
    same: int = 0
    by_hand: int = 0
    difference: Difference | None = None
    episodes: dict[ExitReason, int] = field(default_factory=dict)
    by_clock: tuple[StoredSignal, set[int | None]] | None = None

    @property
    def is_first(self) -> bool:
        """Return whether its first exit is still to come."""
        return self.same + self.by_hand == 0

    @property
    def is_over(self) -> bool:
        """Return whether nothing is left to compare."""
        return self.difference is not None or not (self.is_first or self.expected or self.by_clock)

    @property
    def needs_ticks(self) -> bool:
        """Return whether it needs every tick, besides the exits of the rules."""
        if self.by_clock is not None:
            return True
        return bool(self.expected) and (not self.is_first or self.expected[0].is_by_hand)

    def differ(self, what: str) -> None:
        """Keep the first difference."""
        self.difference = self.difference or Difference(self.trade_id, self.symbol, what)

    def compare(self, candidate: ExitCandidate, direction: Direction) -> None:
        """Compare an exit of the rules with the next stored one; a later exit may also be another one."""
        stored = self.expected[0] if self.expected else None
        replayed = self._event(candidate, direction, stored)
        if stored is None or stored.is_by_hand:
            if self.is_first:
                self.differ(f"stored: nothing by then; replayed: {words(replayed)}")
            return
        if _may_precede_the_clock(stored, candidate):
            return
        lags = candidate.exit_reason is stored.event.exit_reason is ExitReason.TIME and _lags(stored, candidate)
        fields = list(differing(stored, replayed, _BY_CLOCK if lags else ()))
        if not fields:
            self._take(stored)
            self.by_clock = (stored, {candidate.detected_price}) if lags else None
        elif self.is_first:
            self.differ(f"stored: {words(stored.event)}; replayed: {words(replayed)}; {'; '.join(fields)}")

    def before(self, tick: RecordedTick) -> None:
        """Compare the exits by the time and price of a tick, before it is judged."""
        self._see_price(tick)
        self._skip_by_hand(tick.at_ms * 1000)
        if not self.is_first and self.expected and self.expected[0].at_us < tick.ts_us:
            self.differ(f"stored: {words(self.expected[0].event)}; its rule did not hold then")

    def end(self) -> None:
        """Compare the remaining exits at the end of the tape."""
        self._see_price(None)
        self._skip_by_hand(_END_US)
        if self.expected:
            self.differ(f"stored: {words(self.expected[0].event)}; replayed: nothing")

    def _take(self, stored: StoredSignal) -> None:
        self.expected.popleft()
        self.episodes[stored.event.exit_reason] = stored.event.episode_id
        self.same += 1

    def _skip_by_hand(self, now_us: int) -> None:
        while self.expected and self.expected[0].is_by_hand and self.expected[0].at_us <= now_us:
            self.expected.popleft()
            self.by_hand += 1

    def _see_price(self, tick: RecordedTick | None) -> None:
        """Take a possible price of an exit by the clock; once its time is over, it must have one of them."""
        if self.by_clock is None:
            return
        stored, prices = self.by_clock
        if tick is not None and tick.at_ms * 1000 <= stored.at_us:
            prices.add(tick.price)
            return
        self.by_clock = None
        told = stored.event.detected_price
        if (None if told is None else to_units(told)) not in prices:
            self.differ(f"stored: {words(stored.event)}; the symbol did not have this price then")

    def _event(
        self, candidate: ExitCandidate, direction: Direction, stored: StoredSignal | None
    ) -> ExitSignalPublished:
        """Return the event of an exit, with the id of the stored one."""
        price = candidate.detected_price
        return ExitSignalPublished(
            trade_id=candidate.trade_id,
            signal_id=candidate.trade_id if stored is None else stored.event.signal_id,
            symbol=candidate.symbol,
            direction=direction,
            exit_reason=candidate.exit_reason,
            leg=candidate.leg,
            episode_id=self.episodes.get(candidate.exit_reason, 0) + 1,
            detected_price=None if price is None else from_units(price),
            detected_at=EPOCH + timedelta(microseconds=candidate.detected_at_us),
        )


class _MarketCheck:
    """One symbol, or linked ones: their engine and their trades."""

    def __init__(self, run: SymbolRun, checks: Mapping[UUID, _TradeCheck]) -> None:
        self._run = run
        self._checks = dict(checks)
        self._watched = {trade_id: each for trade_id, each in self._checks.items() if each.needs_ticks}

    def play(self, tick: RecordedTick) -> None:
        """Judge a tick and compare its exits."""
        self._compare(self._run.advance(tick.at_ms))
        for check in list(self._watched.values()):
            check.before(tick)
            self._look_at(check)
        verdict = self._run.judge(tick)
        if verdict.accepted:
            self._compare(verdict.candidates)
            self._follow_up(tick)

    def end(self, now_ms: int) -> None:
        """Compare everything due by a time."""
        self._compare(self._run.advance(now_ms + 1))

    def _compare(self, found: Iterable[ExitCandidates]) -> None:
        for each in found:
            for candidate in in_steps(each.candidates)[0]:
                check = self._checks.get(candidate.trade_id)
                if check is not None:
                    check.compare(candidate, each.trade.direction)
                    self._look_at(check)

    def _follow_up(self, tick: RecordedTick) -> None:
        """Judge the rules of later exits again at the tick they name."""
        for check in list(self._watched.values()):
            while not check.is_first and check.expected and check.expected[0].at_us == tick.ts_us:
                left = len(check.expected)
                self._compare(self._run.judge_again(check.expected[0].rule_key))
                if len(check.expected) == left:
                    break

    def _look_at(self, check: _TradeCheck) -> None:
        """Judge a trade no more once it is over, and let it see the ticks if it needs them."""
        if check.is_over:
            self._run.end(check.trade_id)
            self._checks.pop(check.trade_id, None)
        if check.needs_ticks and not check.is_over:
            self._watched[check.trade_id] = check
        else:
            self._watched.pop(check.trade_id, None)


def _may_precede_the_clock(stored: StoredSignal, candidate: ExitCandidate) -> bool:
    """Return whether the stored exit is of a tick before the worker's look at its clock."""
    return (
        candidate.exit_reason is ExitReason.TIME
        and stored.event.exit_reason is not ExitReason.TIME
        and _lags(stored, candidate)
    )


def _lags(stored: StoredSignal, candidate: ExitCandidate) -> bool:
    return 0 <= stored.at_us - candidate.detected_at_us <= CLOCK_LAG_US
