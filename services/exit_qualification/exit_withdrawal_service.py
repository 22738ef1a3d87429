"""Exits cancelled by operators before they were sent: one, or every one of a filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from services.exit_qualification import intent_events
from services.exit_qualification.bulk_requests import BUSY, MOST, require_condition, require_few
from services.exit_qualification.domain.intent import CancelReason, ExitIntent
from services.exit_qualification.domain.intent_state_machine import UNSENT
from services.exit_qualification.orders.requalifying.locked_exit import lock_exit
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.exit_lists import ExitFilter, ExitLists
from services.exit_qualification.storage.intent_batches import IntentBatches
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.errors import Conflict
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.audit import Act, audit

SENT: Final = "already_sent"
"""Its order is, or may be, at the broker."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Pending exit of the filter, as it is afterwards.

    Attributes
    ----------
    skipped:
        Why it is not withdrawn: a code; None if it is, or would be.
    """

    intent: ExitIntent
    skipped: str | None


class ExitWithdrawalService:
    """Cancels unsent exits in the caller's unit of work; the caller commits. Every request is audited."""

    def withdraw(self, uow: UnitOfWork, intent_id: UUID, act: Act) -> ExitIntent:
        """Cancel an unsent exit; return the intent.

        Raises
        ------
        NotFound
            The intent does not exist.
        Conflict
            It was sent already, or has ended.
        """
        intent = lock_exit(uow.connection, ExitIntentRepository(uow.connection).get(intent_id)).intent
        if intent.status not in UNSENT:
            raise Conflict(f"exit {intent_id} is {intent.status}; only an unsent one can be withdrawn")
        (withdrawn,) = _cancel(uow, [intent])
        audit(uow.connection, act, "exit.withdraw", str(intent_id), intent.audit_facts(), withdrawn.audit_facts())
        return withdrawn

    def withdraw_all(self, uow: UnitOfWork, wanted: ExitFilter, act: Act, *, dry_run: bool) -> list[Withdrawal]:
        """Cancel the unsent exits of a filter, oldest first; with `dry_run` return only the plan.

        Skips exits that were sent, or are locked by another transaction.

        Raises
        ------
        InvalidInput
            The filter names nothing, or the exits are more than `MOST`.
        """
        require_condition(wanted, "a symbol", "a user_broker_id", "an exit_reason")
        found = ExitLists(uow.connection).pending(wanted, MOST + 1)
        require_few(found, "exits")
        judged = _judged(uow, found)
        if dry_run:
            return judged
        withdrawn = {it.intent_id: it for it in _cancel(uow, [it.intent for it in judged if it.skipped is None])}
        facts = {**wanted.facts(), "withdrawn": len(withdrawn), "skipped": len(judged) - len(withdrawn)}
        audit(uow.connection, act, "exit.withdraw.bulk", "exits", after=facts)
        return [replace(it, intent=withdrawn.get(it.intent.intent_id, it.intent)) for it in judged]


def _judged(uow: UnitOfWork, found: Sequence[ExitIntent]) -> list[Withdrawal]:
    """Lock the unsent exits that are free, and tell why the others are skipped."""
    unsent = [intent for intent in found if intent.status in UNSENT]
    versions = IntentBatches(uow.connection).lock_free(unsent)
    return [Withdrawal(it, _skipped(it, versions.get(it.intent_id))) for it in found]


def _skipped(intent: ExitIntent, locked_version: int | None) -> str | None:
    if intent.status not in UNSENT:
        return SENT
    return None if locked_version == intent.version else BUSY  # an exit changed since it was read is at work too


def _cancel(uow: UnitOfWork, unsent: Sequence[ExitIntent]) -> list[ExitIntent]:
    """Cancel locked exits and emit their events."""
    now = OrderQueues(uow.connection).now()
    withdrawn = IntentBatches(uow.connection).cancel(unsent, CancelReason.WITHDRAWN, at=now)
    uow.emit(*(intent_events.cancelled(intent, [], now) for intent in withdrawn))
    return withdrawn
