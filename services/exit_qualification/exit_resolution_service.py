"""Exits decided by operators without their broker."""

from __future__ import annotations

from typing import assert_never
from uuid import UUID

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.intent_state_machine import UNSENT
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.domain.resolution import Decision, KnownFill, Resolution, refuse_contradictions
from services.exit_qualification.orders.brokers.port import BrokerFill, BrokerOrder
from services.exit_qualification.orders.reconciling.broker_books import Sighting
from services.exit_qualification.orders.reconciling.outcome_writer import OutcomeWriter
from services.exit_qualification.orders.requalifying.locked_exit import LockedExit, lock_exit
from services.exit_qualification.orders.terms import OrderTerms
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.exit_lists import ExitFilter, ExitLists
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.contracts.events import Event
from shared.contracts.vocabulary import IntentStatus
from shared.errors import Conflict, InvalidInput
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.audit import Act, audit

UNDECIDED = frozenset({IntentStatus.UNKNOWN, IntentStatus.PLACED, IntentStatus.PARTIALLY_FILLED})


class NotResolvable(Conflict):
    """No decision on this exit is possible: nothing of it is open, or a sender is still at work on it."""

    code = "not_resolvable"


class ExitResolutionService:
    """Decides exits in the caller's unit of work; the caller commits. Every decision is audited and emits its event."""

    def __init__(self, terms: OrderTerms) -> None:
        self._terms = terms

    def resolve(self, uow: UnitOfWork, intent_id: UUID, decision: Decision, act: Act) -> ExitIntent:
        """Record the outcome of an exit after the loss of its broker; return the intent.

        Fills of less than the order's quantity end the exit as CANCELLED, and the rest can exit again.

        Raises
        ------
        NotFound
            The intent does not exist.
        NotResolvable
            It is not UNKNOWN, PLACED or PARTIALLY_FILLED.
        InvalidInput
            The decision contradicts itself or what is known.
        """
        locked = lock_exit(uow.connection, ExitIntentRepository(uow.connection).get(intent_id))
        intent = locked.intent
        if intent.status not in UNDECIDED:
            raise NotResolvable(_why_not(intent))
        now = OrderQueues(uow.connection).now()
        refuse_contradictions(intent, decision, _stored(uow, intent_id), now)
        _refuse_order_of_another_exit(uow, intent, decision)
        account = SwitchRepository(uow.connection).broker(intent.user_broker_id)
        writer = OutcomeWriter(uow.connection, account, self._terms, now)
        uow.emit(*_write(writer, locked, decision, act.reason))
        after = ExitIntentRepository(uow.connection).get(intent_id)
        audit(
            uow.connection,
            act,
            "exit.resolve",
            str(intent_id),
            intent.audit_facts(),
            after.audit_facts() | _told(decision),
        )
        return after


def _why_not(intent: ExitIntent) -> str:
    if intent.status is IntentStatus.SUBMITTING:
        return f"exit {intent.intent_id} is being sent; it becomes UNKNOWN when its sender's claim runs out"
    if intent.status in UNSENT:
        return f"exit {intent.intent_id} was not sent; withdraw it instead"
    return f"exit {intent.intent_id} has ended as {intent.status}"


def _stored(uow: UnitOfWork, intent_id: UUID) -> list[KnownFill]:
    found = ExitFillRepository(uow.connection).of_intent(intent_id)
    return [KnownFill(it.broker_trade_id, it.quantity, it.price, it.filled_at) for it in found]


def _refuse_order_of_another_exit(uow: UnitOfWork, intent: ExitIntent, decision: Decision) -> None:
    """Refuse an order with another exit's fills: they are stored once, so this exit would stay without."""
    if decision.broker_order_id is None:
        return
    wanted = ExitFilter(user_broker_id=intent.user_broker_id, order_id=decision.broker_order_id)
    found = ExitLists(uow.connection).oldest(wanted, limit=2)
    others = [it.intent_id for it in found if it.intent_id != intent.intent_id]
    if others:
        raise InvalidInput(f"order {decision.broker_order_id} is the order of exit {others[0]}")


def _write(writer: OutcomeWriter, locked: LockedExit, decision: Decision, reason: str) -> list[Event]:
    match decision.resolution:
        case Resolution.NOT_PLACED:
            return writer.never_placed(locked.intent, f"resolved by an operator: {reason}")
        case Resolution.FAILED if decision.broker_order_id is None and locked.intent.broker_order_id is None:
            return writer.rejected(locked.intent, f"resolved by an operator: {reason}")
        case Resolution.FILLED | Resolution.FAILED:
            return writer.sighted(locked, _sighting(locked.intent, decision, f"resolved by an operator: {reason}"))
        case _:
            assert_never(decision.resolution)


def _sighting(intent: ExitIntent, decision: Decision, message: str) -> Sighting:
    """Return the broker's books as decided; an order ended short was cancelled with its fills."""
    failed = decision.resolution is Resolution.FAILED
    exchange = intent.symbol.partition(":")[0]
    order_id = decision.broker_order_id or intent.broker_order_id or ""
    fills = tuple(
        BrokerFill(order_id, fill.broker_trade_id, exchange, fill.quantity, fill.price, fill.filled_at)
        for fill in decision.fills
    )
    state = OrderState.REJECTED if failed else OrderState.CANCELLED
    return Sighting(BrokerOrder(order_id, frozenset({intent.client_order_id}), state, message, 0), fills)


def _told(decision: Decision) -> dict[str, object]:
    return {"resolution": decision.resolution.value, "fills": len(decision.fills)}
