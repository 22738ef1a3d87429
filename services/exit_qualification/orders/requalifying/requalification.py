"""Requalification of unsent exits; cancels those whose time or reason has ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from services.exit_qualification import intent_events
from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.domain.intent import CancelReason, ExitIntent
from services.exit_qualification.domain.market_facts import MarketFacts
from services.exit_qualification.domain.switches import Switches
from services.exit_qualification.orders.requalifying.locked_exit import LockedExit, qualify_again, try_lock_exit
from services.exit_qualification.orders.rest import Rest
from services.exit_qualification.orders.skipped_trades import SkippedTrades
from services.exit_qualification.orders.terms import OrderTerms
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.market_facts import MarketFactsRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.clock import Clock
from shared.contracts.vocabulary import IntentStatus
from shared.exit_rules.registry import rule_of
from shared.money import from_units, to_units
from shared.outbox.unit_of_work import UnitOfWork

HELD_PAUSE_S = 5.0
"""Pause between checks of exits held back by a switch; they check only the exit's reason and trade."""
HELD_PAGE = 500
"""Maximum held exits per check; under a kill switch there may be very many, and other exits must not wait."""


class Requalification:
    """Evaluates the gates again for waiting exits, one transaction each. Not thread-safe.

    Parameters
    ----------
    on_progress:
        Called for each exit of a pass, because a pass after an outage exceeds the stall limit of a loop.
    rest:
        Of looks for due exits.
    """

    def __init__(
        self,
        open_unit: Callable[[], UnitOfWork],
        qualification: ExitQualificationService,
        terms: OrderTerms,
        skipped: SkippedTrades,
        clock: Clock,
        rest: Rest,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_progress = on_progress
        self._rest = rest
        self._open_unit = open_unit
        self._qualification = qualification
        self._terms = terms
        self._skipped = skipped
        self._clock = clock
        self._next_held_s = 0.0
        self._held_after: ExitIntent | None = None

    def requalify_once(self) -> bool:
        """Run one pass over due exits; return False, because the next one comes after a wait."""
        with self._open_unit() as uow:
            queues = OrderQueues(uow.connection)
            waiting = [*(self._rest.look(queues.to_requalify) or []), *self._held(queues)]
            if not waiting:
                return False
            switches = SwitchRepository(uow.connection).read()
            symbols = {intent.symbol for intent in waiting}
            prices, markets = queues.last_prices(symbols), MarketFactsRepository(uow.connection).read(symbols)
        for intent in waiting:
            self._on_progress()
            with self._skipped.skipping(intent.trade_id):
                self._ask(intent, prices.get(intent.symbol), switches, markets[intent.symbol])
        return False

    def _held(self, queues: OrderQueues) -> list[ExitIntent]:
        """Return the next page of exits held back by a switch, at intervals."""
        if self._clock.monotonic() < self._next_held_s:
            return []
        self._next_held_s = self._clock.monotonic() + HELD_PAUSE_S
        page = queues.held(self._held_after, HELD_PAGE)
        self._held_after = page[-1] if len(page) == HELD_PAGE else None
        return page

    def _ask(self, intent: ExitIntent, last_price: Decimal | None, switches: Switches, market: MarketFacts) -> None:
        with self._open_unit() as uow:
            locked = try_lock_exit(uow.connection, intent)
            if locked.intent.version != intent.version:
                return  # another process has already advanced it
            now = OrderQueues(uow.connection).now()
            given_up = _why_give_up(locked, last_price, now)
            if given_up is None:
                self._qualify(uow, locked, switches, market, now)
            else:
                self._give_up(uow, locked.intent, given_up, now)
            uow.commit()

    def _give_up(self, uow: UnitOfWork, intent: ExitIntent, reason: CancelReason, now: datetime) -> None:
        cancelled = ExitIntentRepository(uow.connection).mark_cancelled(intent, reason=reason, at=now)
        self._back_off(uow, intent)
        uow.emit(intent_events.cancelled(cancelled, [], now))

    def _back_off(self, uow: UnitOfWork, intent: ExitIntent) -> None:
        """Let the reason fire again after a short wait: quantity is left."""
        if intent.executable:
            ExitEpisodeRepository(uow.connection).back_off(
                intent.rule_key, first_s=self._terms.backoff_first_s, max_s=self._terms.backoff_max_s
            )

    def _qualify(
        self, uow: UnitOfWork, locked: LockedExit, switches: Switches, market: MarketFacts, now: datetime
    ) -> None:
        result = qualify_again(uow.connection, locked, switches, market, self._qualification)
        if result.status is IntentStatus.PENDING:
            return
        changes = {
            "quantity": result.calculated_qty,
            "beside_leg": result.beside_leg,
            "gates": result.verdicts_json(),
            "errors": result.errors_json(),
        }
        repository = ExitIntentRepository(uow.connection)
        if result.passed:
            uow.emit(intent_events.approved(repository.update_status(locked.intent, result.status, **changes), now))
        else:
            ended = repository.update_status(locked.intent, result.status, ended_at=now, **changes)
            self._back_off(uow, locked.intent)
            uow.emit(intent_events.rejected(ended, now))


def _is_out_of_time(intent: ExitIntent, now: datetime) -> bool:
    return intent.expires_at is not None and intent.expires_at <= now


def _why_give_up(locked: LockedExit, last_price: Decimal | None, now: datetime) -> CancelReason | None:
    """Return why a waiting exit must be cancelled; None if it may wait."""
    intent = locked.intent
    if not intent.executable:
        return CancelReason.DARK
    if _is_out_of_time(intent, now):
        return CancelReason.EXPIRED
    gone = _plan_dropped(locked, last_price) or _condition_is_gone(intent, last_price)
    return CancelReason.CONDITION_GONE if gone else None


def _plan_dropped(locked: LockedExit, last_price: Decimal | None) -> bool:
    """Return whether a changed plan no longer asks for a waiting exit: the rule is gone, or its level is not met."""
    intent, trade = locked.intent, locked.trade.trade
    if trade.has_dropped(intent.exit_reason, intent.leg):
        return True
    state = trade.rules.get((intent.exit_reason, intent.leg))
    if trade.plan_version == 1 or state is None:
        return False
    moved = state.fixed_level is not None and intent.exit_level != from_units(state.fixed_level * trade.direction.sign)
    return moved and last_price is not None and not state.holds(to_units(last_price) * trade.direction.sign)


def _condition_is_gone(intent: ExitIntent, last_price: Decimal | None) -> bool:
    """Return whether the market has moved back; False without a price or a level."""
    rule = rule_of(intent.exit_reason)
    if not rule.expires or last_price is None or intent.exit_level is None:
        return False
    return not rule.still_holds(intent.direction, to_units(intent.exit_level), to_units(last_price))
