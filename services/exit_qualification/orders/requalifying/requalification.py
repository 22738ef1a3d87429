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
from services.exit_qualification.orders.context import OrderContext
from services.exit_qualification.orders.requalifying.giving_up import why_give_up
from services.exit_qualification.orders.requalifying.held_pages import no_longer_held
from services.exit_qualification.orders.requalifying.locked_exit import LockedExit, qualify_again, try_lock_exit
from services.exit_qualification.orders.rest import Rest
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.market_facts import MarketFactsRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.contracts.vocabulary import IntentStatus
from shared.outbox.unit_of_work import UnitOfWork

HELD_PAUSE_S = 5.0
"""Pause between checks of exits held back by a switch; they check only the exit's reason and trade."""
HELD_PAGE = 500
"""Maximum held exits per check; under a kill switch there may be very many, and other exits must not wait."""


class Requalification:
    """Evaluates the gates again for waiting exits; each that goes on or ends has its transaction. Not thread-safe.

    Parameters
    ----------
    on_progress:
        Called for each exit of a pass, because a pass after an outage exceeds the stall limit of a loop.
    rest:
        Of looks for due exits.
    """

    def __init__(self, context: OrderContext, rest: Rest, on_progress: Callable[[], None] = lambda: None) -> None:
        self._open_unit = context.open_unit
        self._terms = context.terms
        self._skipped = context.skipped
        self._clock = context.clock
        self._rest = rest
        self._on_progress = on_progress
        self._qualification = ExitQualificationService()
        self._next_held_s = 0.0
        self._held_after: ExitIntent | None = None

    def requalify_once(self) -> bool:
        """Run one pass over due exits; return False, because the next one comes after a wait."""
        with self._open_unit() as uow:
            queues = OrderQueues(uow.connection)
            due, held = self._rest.look(queues.to_requalify) or [], self._held(queues)
            if not due and not held:
                return False
            switches = SwitchRepository(uow.connection).read()
            symbols = {intent.symbol for intent in (*due, *held)}
            prices, markets = queues.last_prices(symbols), MarketFactsRepository(uow.connection).read(symbols)
            moving = no_longer_held(uow.connection, held, switches, markets, prices, self._qualification)
        for intent in (*due, *moving):
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
            given_up = why_give_up(locked, last_price, now)
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
            "gates": result.verdicts_after(locked.intent.gates, now),
            "errors": result.errors_json(),
        }
        repository = ExitIntentRepository(uow.connection)
        if result.passed:
            uow.emit(intent_events.approved(repository.update_status(locked.intent, result.status, **changes), now))
        else:
            ended = repository.update_status(locked.intent, result.status, ended_at=now, **changes)
            self._back_off(uow, locked.intent)
            uow.emit(intent_events.rejected(ended, now))
