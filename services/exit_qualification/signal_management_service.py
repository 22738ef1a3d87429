"""Writes qualified exits as signals and intents, rows before events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.exit_qualification import intent_events
from services.exit_qualification.domain.candidates import ExitCandidate, ExitCandidates
from services.exit_qualification.domain.exit_qualification_service import (
    ExitQualificationService,
)
from services.exit_qualification.domain.exit_signal import ExitSignal, TradeReason
from services.exit_qualification.domain.gates.gate_input import ExitRequest, GateInput, gate_input
from services.exit_qualification.domain.intent import ExitIntent, is_being_sent, supersedes
from services.exit_qualification.domain.market_facts import MarketFacts
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.order_terms import reducing_side
from services.exit_qualification.domain.switches import Switches
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.exit_signals import ExitSignalRepository
from services.exit_qualification.storage.intent_batches import IntentBatches
from services.exit_qualification.storage.market_facts import MarketFactsRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository, TradeProjection
from shared.clock import EPOCH, Clock
from shared.contracts.events import Event
from shared.contracts.vocabulary import ExitReason, IntentStatus, RolloutMode, TradeStatus
from shared.exit_rules.registry import rule_of
from shared.ids import client_order_id, new_id
from shared.money import from_units
from shared.outbox.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ExitTerms:
    """Durations of exits."""

    cooldown: timedelta
    intent_ttl: timedelta

    def cooldown_of(self, reason: ExitReason) -> timedelta:
        """Return the cooldown of a reason; manual exits have none."""
        return timedelta() if reason is ExitReason.MANUAL else self.cooldown


@dataclass(frozen=True, slots=True)
class DetectedExit:
    """Rows written for one trade: a signal, and its intent unless another writer held the slot."""

    signal: ExitSignal
    intent: ExitIntent | None


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Candidate without an obstacle, with its episode and the input of its decision."""

    candidate: ExitCandidate
    episode_id: int
    trade: OpenTrade
    filled_quantity: int


class SignalManagementService:
    """Turns candidates into signals and intents inside the caller's unit of work."""

    def __init__(self, terms: ExitTerms, clock: Clock, qualification: ExitQualificationService) -> None:
        self._terms = terms
        self._clock = clock
        self._qualification = qualification

    def on_exits_detected(
        self,
        uow: UnitOfWork,
        detected: Sequence[ExitCandidates],
        switches: Switches,
        locked: Mapping[UUID, TradeProjection] | None = None,
    ) -> list[DetectedExit]:
        """Write a signal and an intent for each trade that may exit, and emit their events.

        Nothing is written for a trade that is not open, has an intent that cannot be superseded, or has all candidates
        under cooldown, nor for any trade while the rollout is off. Rows of the trades are locked in sorted order until
        the unit of work ends, unless the caller has `locked` them; the caller commits.
        """
        if not detected or switches.rollout.mode is RolloutMode.OFF:
            return []
        trade_ids = [item.trade.trade_id for item in detected]
        trades = locked
        if trades is None:
            trades = OpenTradeRepository(uow.connection).lock(trade_ids, with_rules=False)
        holders = self._slot_holders(uow, trade_ids)
        now = self._clock.now()
        free = {
            item.trade.trade_id: queue
            for item in detected
            if (queue := _unopposed(item, trades.get(item.trade.trade_id), holders.get(item.trade.trade_id), now))
        }
        filled = ExitFillRepository(uow.connection).totals_of_trades(list(free))
        chosen = [
            _Chosen(candidate, episode_id, trades[candidate.trade_id].trade, filled.get(candidate.trade_id, 0))
            for candidate, episode_id in self._first_with_episode(uow, free)
        ]
        self._supersede(uow, [holders[item.trade.trade_id] for item in chosen if item.trade.trade_id in holders])
        return self._write(uow, chosen, switches)

    def _slot_holders(self, uow: UnitOfWork, trade_ids: Sequence[UUID]) -> dict[UUID, ExitIntent]:
        found = ExitIntentRepository(uow.connection).find_slot_holders(trade_ids)
        return {intent.trade_id: intent for intent in found}

    def _first_with_episode(
        self, uow: UnitOfWork, free: Mapping[UUID, list[ExitCandidate]]
    ) -> list[tuple[ExitCandidate, int]]:
        """Return each trade's highest-ranked candidate without a cooldown, with one statement per rank."""
        episodes = ExitEpisodeRepository(uow.connection)
        waiting = {trade_id: list(queue) for trade_id, queue in free.items()}
        found: dict[UUID, tuple[ExitCandidate, int]] = {}
        while waiting:
            heads = {trade_id: queue.pop(0) for trade_id, queue in waiting.items()}
            given = self._generate(episodes, heads)
            for trade_id, candidate in heads.items():
                episode_id = given.get((trade_id, candidate.exit_reason))
                if episode_id is not None:
                    found[trade_id] = (candidate, episode_id)
            waiting = {trade_id: queue for trade_id, queue in waiting.items() if queue and trade_id not in found}
        return [found[trade_id] for trade_id in sorted(found)]

    def _generate(self, episodes: ExitEpisodeRepository, heads: Mapping[UUID, ExitCandidate]) -> dict[TradeReason, int]:
        by_cooldown: dict[timedelta, list[TradeReason]] = defaultdict(list)
        for trade_id, candidate in heads.items():
            by_cooldown[self._terms.cooldown_of(candidate.exit_reason)].append((trade_id, candidate.exit_reason))
        given: dict[TradeReason, int] = {}
        for cooldown, pairs in by_cooldown.items():
            given |= episodes.generate(pairs, cooldown)
        return given

    def _supersede(self, uow: UnitOfWork, intents: Sequence[ExitIntent]) -> None:
        """Cancel waiting intents in favour of exits of higher rank; their rows must be locked.

        Their reasons may fire again immediately. While the new exit lives it blocks them itself. If it fails, a stop
        must not wait for the cooldown of an intent that was never sent.
        """
        now = self._clock.now()
        for ended in IntentBatches(uow.connection).supersede(intents, at=now):
            uow.emit(intent_events.cancelled(ended, [], now))
        ExitEpisodeRepository(uow.connection).release([(intent.trade_id, intent.exit_reason) for intent in intents])

    def _write(self, uow: UnitOfWork, chosen: Sequence[_Chosen], switches: Switches) -> list[DetectedExit]:
        now = self._clock.now()
        signals = [_signal(item) for item in chosen]
        markets = MarketFactsRepository(uow.connection).read({item.trade.symbol for item in chosen})
        intents = [
            self._intent(item, signal, switches, markets[signal.symbol].at_detection(signal.detected_price), now)
            for item, signal in zip(chosen, signals, strict=True)
        ]
        ExitSignalRepository(uow.connection).insert(signals)
        written = ExitIntentRepository(uow.connection).insert(intents)
        exits = [
            DetectedExit(signal, intent if intent.intent_id in written else None)
            for signal, intent in zip(signals, intents, strict=True)
        ]
        for detected in exits:
            uow.emit(*_events(detected, now))
        return exits

    def _intent(
        self, item: _Chosen, signal: ExitSignal, switches: Switches, market: MarketFacts, now: datetime
    ) -> ExitIntent:
        result = self._qualification.qualify(_gate_input(item, switches, market))
        intent_id = new_id()
        expires = rule_of(signal.exit_reason).expires
        return ExitIntent(
            intent_id=intent_id,
            signal_id=signal.signal_id,
            trade_id=signal.trade_id,
            user_broker_id=item.trade.user_broker_id,
            symbol=signal.symbol,
            direction=signal.direction,
            exit_reason=signal.exit_reason,
            episode_id=signal.episode_id,
            status=result.status,
            quantity=result.calculated_qty,
            product_type=result.product_type,
            order_type=result.order_type,
            limit_price=result.limit_price,
            executable=result.executable,
            gates=tuple(result.verdicts_json()),
            errors=tuple(result.errors_json()),
            client_order_id=client_order_id(intent_id),
            detected_price=signal.detected_price,
            created_at=now,
            updated_at=now,
            exit_level=None if item.candidate.level is None else from_units(item.candidate.level),
            expires_at=now + self._terms.intent_ttl if expires else None,
            ended_at=now if result.status is IntentStatus.REJECTED else None,
        )


def _unopposed(
    item: ExitCandidates, known: TradeProjection | None, holder: ExitIntent | None, now: datetime
) -> list[ExitCandidate]:
    """Return the trade's candidates not blocked by a closed trade or an intent in its slot."""
    if known is None or known.status is not TradeStatus.OPEN:
        return []
    if holder is not None and is_being_sent(holder, now):
        return []
    return [found for found in item.candidates if holder is None or supersedes(found.exit_reason, holder)]


def _signal(item: _Chosen) -> ExitSignal:
    candidate = item.candidate
    return ExitSignal(
        signal_id=new_id(),
        trade_id=candidate.trade_id,
        symbol=candidate.symbol,
        direction=item.trade.direction,
        exit_reason=candidate.exit_reason,
        episode_id=item.episode_id,
        detected_price=None if candidate.detected_price is None else from_units(candidate.detected_price),
        detected_at=EPOCH + timedelta(microseconds=candidate.detected_at_us),
    )


def _gate_input(item: _Chosen, switches: Switches, market: MarketFacts) -> GateInput:
    trade = item.trade
    candidate = item.candidate
    asked = ExitRequest(
        candidate.exit_reason,
        item.episode_id,
        trade.user_broker_id,
        reducing_side(trade.direction),
        trade.product_type,
        detected_price=None if candidate.detected_price is None else from_units(candidate.detected_price),
        bricks=candidate.bricks,
    )
    return gate_input(asked, trade, TradeStatus.OPEN, item.filled_quantity, [], switches, market)


def _events(detected: DetectedExit, now: datetime) -> list[Event]:
    signal, intent = detected.signal, detected.intent
    events: list[Event] = [intent_events.signal_published(signal)]
    if intent is not None and intent.status is IntentStatus.APPROVED:
        events.append(intent_events.approved(intent, now))
    if intent is not None and intent.status is IntentStatus.REJECTED:
        events.append(intent_events.rejected(intent, now))
    return events
