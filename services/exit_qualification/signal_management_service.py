"""Writes qualified exits as signals and intents, rows before events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import Self
from uuid import UUID

from services.exit_qualification import intent_events
from services.exit_qualification.domain.candidates import ExitCandidate, ExitCandidates, in_steps
from services.exit_qualification.domain.exit_qualification_service import (
    ExitQualificationResult,
    ExitQualificationService,
)
from services.exit_qualification.domain.exit_signal import ExitSignal
from services.exit_qualification.domain.gates.gate_input import ExitRequest, GateInput, gate_input
from services.exit_qualification.domain.intent import CancelReason, ExitIntent
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.market_facts import MarketFacts
from services.exit_qualification.domain.order_terms import reducing_side
from services.exit_qualification.domain.switches import Switches
from services.exit_qualification.exit_book import AskedFacts, ExitBook
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.intent_batches import IntentBatches
from services.exit_qualification.storage.open_trades import OpenTradeRepository, TradeProjection
from shared.clock import Clock
from shared.contracts.events import Event
from shared.contracts.topics import EXIT_INTENTS, EXIT_SIGNALS
from shared.contracts.vocabulary import Direction, ExitReason, IntentStatus, RolloutMode, TradeStatus
from shared.exit_rules.registry import rule_of
from shared.ids import client_order_id, new_id
from shared.instants import EPOCH
from shared.money import from_units
from shared.outbox.numbers import Order
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.hot_path import pipelined

PART = 128
"""Exits of a transaction whose rows are sent together."""


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
    """Rows written for one exit."""

    signal: ExitSignal
    intent: ExitIntent


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Candidate without an obstacle, with its episode."""

    candidate: ExitCandidate
    episode_id: int


@dataclass(frozen=True, slots=True)
class _Qualified:
    """Result of the gates, and its parts in the format of an intent's row."""

    result: ExitQualificationResult
    gates: tuple[Mapping[str, object], ...]
    errors: tuple[Mapping[str, str], ...]

    @classmethod
    def of(cls, result: ExitQualificationResult) -> Self:
        return cls(result, tuple(result.verdicts_json()), tuple(result.errors_json()))


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
        facts: AskedFacts | None = None,
        *,
        are_last_rows: bool = False,
    ) -> list[DetectedExit]:
        """Write a signal and an intent for each trade free to exit, and emit their events.

        Nothing is written for a trade that is not open, has an intent that cannot be superseded, or has all candidates
        under cooldown, nor for any trade while the rollout is off. Legs reached by one tick exit together. Rows of
        the trades are locked in sorted order until the unit of work ends, unless the caller has `locked` them and
        asked for their `facts`; the caller commits.

        Parameters
        ----------
        are_last_rows:
            The caller changes no existing row after these: events are written with the rows of their exits.

        Raises
        ------
        sqlalchemy.exc.IntegrityError
            Another writer took a slot meanwhile without a lock on the trade, see `is_slot_taken`.
        """
        if not detected or switches.rollout.mode is RolloutMode.OFF:
            return []
        if locked is None:
            trades = OpenTradeRepository(uow.connection)
            locked = trades.lock([item.trade.trade_id for item in detected], with_rules=False)
        book = ExitBook.read(uow.connection, detected, locked, facts, self._clock.now())
        free = {
            item.trade.trade_id: steps
            for item in detected
            if (steps := in_steps([each for each in item.candidates if book.takes(each.rule_key)]))
        }
        if are_last_rows:
            uow.foresee(_orders_of_events(free, book))
        chosen = self._first_with_episode(uow, free)
        self._supersede(uow, book.taken_over([item.candidate.rule_key for item in chosen]))
        return self._write(uow, chosen, book, switches, are_foreseen=are_last_rows)

    def _first_with_episode(self, uow: UnitOfWork, free: Mapping[UUID, list[list[ExitCandidate]]]) -> list[_Chosen]:
        """Return each trade's highest-ranked candidates without a cooldown, with one statement per rank."""
        episodes = ExitEpisodeRepository(uow.connection)
        waiting = {trade_id: list(steps) for trade_id, steps in free.items()}
        found: dict[UUID, list[_Chosen]] = {}
        while waiting:
            heads = {trade_id: steps.pop(0) for trade_id, steps in waiting.items()}
            given = self._generate(episodes, [each for step in heads.values() for each in step])
            for trade_id, step in heads.items():
                chosen = [_Chosen(each, given[each.rule_key]) for each in step if each.rule_key in given]
                if chosen:
                    found[trade_id] = chosen
            waiting = {trade_id: steps for trade_id, steps in waiting.items() if steps and trade_id not in found}
        return [each for trade_id in sorted(found) for each in found[trade_id]]

    def _generate(self, episodes: ExitEpisodeRepository, heads: Sequence[ExitCandidate]) -> dict[RuleKey, int]:
        by_cooldown: dict[timedelta, list[RuleKey]] = defaultdict(list)
        for candidate in heads:
            by_cooldown[self._terms.cooldown_of(candidate.exit_reason)].append(candidate.rule_key)
        given: dict[RuleKey, int] = {}
        for cooldown, keys in by_cooldown.items():
            given |= episodes.generate(keys, cooldown)
        return given

    def _supersede(self, uow: UnitOfWork, intents: Sequence[ExitIntent]) -> None:
        """Cancel waiting intents in favour of exits of higher rank; their rows must be locked.

        Their rules may fire again immediately. While the new exit lives it blocks them itself. If it fails, a stop
        must not wait for the cooldown of an intent never sent.
        """
        now = self._clock.now()
        for ended in IntentBatches(uow.connection).cancel(intents, CancelReason.SUPERSEDED, at=now):
            uow.emit(intent_events.cancelled(ended, [], now))
        ExitEpisodeRepository(uow.connection).release([intent.rule_key for intent in intents])

    def _write(
        self, uow: UnitOfWork, chosen: Sequence[_Chosen], book: ExitBook, switches: Switches, *, are_foreseen: bool
    ) -> list[DetectedExit]:
        """Write rows and foreseen events in parts: PostgreSQL works on one while the next is prepared."""
        if not chosen:
            return []
        now = self._clock.now()
        repository = ExitIntentRepository(uow.connection)
        made = self._made(chosen, book, switches, now)
        exits: list[DetectedExit] = []
        with pipelined(uow.connection):
            while part := list(islice(made, PART)):
                repository.insert([each.intent for each in part], [each.signal for each in part])
                uow.emit(*(event for detected in part for event in _events(detected, now)))
                if are_foreseen:
                    uow.write_foreseen()
                exits += part
        return exits

    def _made(
        self,
        chosen: Sequence[_Chosen],
        book: ExitBook,
        switches: Switches,
        now: datetime,
    ) -> Iterator[DetectedExit]:
        """Yield a signal and an intent for each. Exits of a burst differ in little: equal facts are qualified once."""
        market = cache(lambda symbol, price: book.market[symbol].at_detection(price))
        known: dict[tuple[object, ...], _Qualified] = {}
        of_trade: dict[UUID, list[ExitIntent]] = defaultdict(list)
        for item in chosen:
            key = item.candidate.rule_key
            trade = book.trades[key.trade_id].trade
            signal = _signal(item, trade.direction)
            others = [*book.staying(key), *of_trade[key.trade_id]]
            alike = (*_facts(item, book), *(other.intent_id for other in others))
            qualified = known.get(alike)
            if qualified is None:
                given = _gate_input(item, book, others, switches, market(signal.symbol, signal.detected_price))
                qualified = known[alike] = _Qualified.of(self._qualification.qualify(given))
            intent = self._intent(item, signal, trade.user_broker_id, qualified, now)
            if intent.executable and intent.is_live:
                of_trade[key.trade_id].append(intent)
            yield DetectedExit(signal, intent)

    def _intent(
        self, item: _Chosen, signal: ExitSignal, user_broker_id: str, qualified: _Qualified, now: datetime
    ) -> ExitIntent:
        result = qualified.result
        intent_id = new_id()
        expires = rule_of(signal.exit_reason).expires
        return ExitIntent(
            intent_id=intent_id,
            signal_id=signal.signal_id,
            trade_id=signal.trade_id,
            user_broker_id=user_broker_id,
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
            gates=qualified.gates,
            errors=qualified.errors,
            client_order_id=client_order_id(intent_id),
            detected_price=signal.detected_price,
            created_at=now,
            updated_at=now,
            exit_level=None if item.candidate.level is None else from_units(item.candidate.level),
            expires_at=now + self._terms.intent_ttl if expires else None,
            ended_at=now if result.status is IntentStatus.REJECTED else None,
            leg=signal.leg,
            beside_leg=result.beside_leg,
        )


def _signal(item: _Chosen, direction: Direction) -> ExitSignal:
    candidate = item.candidate
    return ExitSignal(
        signal_id=new_id(),
        trade_id=candidate.trade_id,
        symbol=candidate.symbol,
        direction=direction,
        exit_reason=candidate.exit_reason,
        episode_id=item.episode_id,
        detected_price=None if candidate.detected_price is None else from_units(candidate.detected_price),
        detected_at=EPOCH + timedelta(microseconds=candidate.detected_at_us),
        leg=candidate.leg,
    )


def _facts(item: _Chosen, book: ExitBook) -> tuple[object, ...]:
    """Return the part of `_gate_input` from an exit alone; far quicker to make and to compare than its answer."""
    candidate = item.candidate
    trade = book.trades[candidate.trade_id].trade
    return (
        trade.symbol,
        trade.direction,
        trade.quantity,
        trade.product_type,
        trade.user_broker_id,
        candidate.exit_reason,
        candidate.leg,
        candidate.detected_price,
        candidate.bricks,
        item.episode_id,
        book.leg_left(candidate.rule_key),
        book.filled.get(candidate.trade_id, 0),
    )


def _gate_input(
    item: _Chosen, book: ExitBook, others: Sequence[ExitIntent], switches: Switches, market: MarketFacts
) -> GateInput:
    candidate = item.candidate
    trade = book.trades[candidate.trade_id].trade
    asked = ExitRequest(
        candidate.exit_reason,
        item.episode_id,
        trade.user_broker_id,
        reducing_side(trade.direction),
        trade.product_type,
        detected_price=None if candidate.detected_price is None else from_units(candidate.detected_price),
        bricks=candidate.bricks,
        leg=candidate.leg,
        leg_left=book.leg_left(candidate.rule_key),
    )
    filled = book.filled.get(candidate.trade_id, 0)
    return gate_input(asked, trade, TradeStatus.OPEN, filled, others, switches, market)


def _orders_of_events(free: Mapping[UUID, list[list[ExitCandidate]]], book: ExitBook) -> list[Order]:
    """Return topic and key of each event at most: of the exits of one step of each trade, and of those cancelled."""
    orders: list[Order] = []
    for trade_id, steps in free.items():
        exits, key = max(map(len, steps)), str(trade_id)
        cancelled = len(book.holders.get(trade_id, ()))
        orders += [(EXIT_SIGNALS, key)] * exits + [(EXIT_INTENTS, key)] * (exits + cancelled)
    return orders


def _events(detected: DetectedExit, now: datetime) -> list[Event]:
    signal, intent = detected.signal, detected.intent
    events: list[Event] = [intent_events.signal_published(signal)]
    if intent.status is IntentStatus.APPROVED:
        events.append(intent_events.approved(intent, now))
    if intent.status is IntentStatus.REJECTED:
        events.append(intent_events.rejected(intent, now))
    return events
