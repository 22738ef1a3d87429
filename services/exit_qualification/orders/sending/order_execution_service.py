"""Sends approved exits, each at most once, and records the broker's response."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.port import Accepted, BrokerPort
from services.exit_qualification.orders.context import OrderContext
from services.exit_qualification.orders.reconciling.order_outcomes import OrderOutcomes
from services.exit_qualification.orders.sending.call_pace import CallPace
from services.exit_qualification.orders.sending.claim_sender import ClaimSender
from services.exit_qualification.orders.sending.clearances import Clearances
from services.exit_qualification.orders.sending.order_claims import Claim, OrderClaims
from services.exit_qualification.orders.sending.placement_records import Filled, PlacementRecords, Sent
from services.exit_qualification.orders.sending.square_off_race import SquareOffRace
from shared.contracts.vocabulary import IntentStatus
from shared.runtime.failpoints import Failpoint, failpoint

Read = Callable[[BrokerPort, Mapping[str, ExitIntent]], Filled]
"""Reads orders just accepted, by order id; returns the fills of those filled completely."""


@dataclass(frozen=True, slots=True)
class SenderHooks:
    """Calls of a sender to those who go on with its work.

    Attributes
    ----------
    on_more:
        Called if there may be more for another sender.
    on_claimed:
        Called after each query for exits with whether it found any, and whether approved ones are left.
    on_placed:
        Called with the orders of a batch recorded as PLACED and not read, of one account.
    on_unclear:
        Called if the broker's books may have news of an order.
    """

    on_more: Callable[[], None] = lambda: None
    on_claimed: Callable[[bool, bool], None] = lambda _is_any, _is_more: None
    on_placed: Callable[[UserBroker, Sequence[ExitIntent]], None] = lambda _account, _placed: None
    on_unclear: Callable[[], None] = lambda: None


NO_HOOKS = SenderHooks()


class OrderExecutionService:
    """Sends exits in batches of one account. Many threads can share it.

    One thread claims batches for all free ones; each of these takes one after the other.

    Parameters
    ----------
    read:
        Reads the accepted orders of a quick broker before they are recorded: orders filled at once are
        recorded as placed and filled together.
    """

    def __init__(
        self,
        context: OrderContext,
        race: SquareOffRace,
        outcomes: OrderOutcomes,
        hooks: SenderHooks = NO_HOOKS,
        read: Read | None = None,
    ) -> None:
        clearances = Clearances(context.open_unit, context.terms.limits, context.clock)
        self._pace = CallPace()
        self._claims = OrderClaims(context, self._pace, race.seems_late)
        self._sender = ClaimSender(clearances, race, self._pace, context.clock)
        self._records = PlacementRecords(context, outcomes)
        self._workers = context.terms.workers
        self._read = read
        self._hooks = hooks
        self._claiming = threading.Lock()
        self._ready: deque[Claim] = deque()
        self._at_work: set[int] = set()
        self._is_more = False

    def execute_next(self) -> bool:
        """Process the next exits, highest rank first; return False if none may be sent."""
        claim, found = self._next()
        while claim is not None:
            with self._working():
                self._process(claim)
            if self._is_more:
                self._hooks.on_more()
            claim = self._take()
        return found

    def _next(self) -> tuple[Claim | None, bool]:
        """Return a claim to process, and whether there was anything to look at.

        Claim more exits only if none are ready: a thread waiting for a query takes its claims for all.
        """
        with self._claiming:
            claim = self._take()
            if claim is not None:
                return claim, True
            claimed = self._claims.claim(max(1, self._workers - len(self._at_work)))
            self._is_more = claimed.is_more
            self._ready.extend(claimed.claims)
        self._hooks.on_claimed(claimed.found, claimed.is_more)
        if claimed.found and claimed.is_more:
            self._hooks.on_more()
        return self._take(), claimed.found

    def _take(self) -> Claim | None:
        """Return a ready claim, and let another sender look for the next one."""
        try:
            claim = self._ready.popleft()
        except IndexError:
            return None
        if self._ready:
            self._hooks.on_more()
        return claim

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Count this thread among the busy ones."""
        thread = threading.get_ident()
        self._at_work.add(thread)
        try:
            yield
        finally:
            self._at_work.discard(thread)

    def _process(self, claim: Claim) -> None:
        """Send the orders of a claim, and record their outcomes."""
        failpoint(Failpoint.ORDERS_AFTER_SUBMITTING)
        sent = list(self._sender.send(claim))
        failpoint(Failpoint.ORDERS_AFTER_CALL)
        filled = self._filled(claim, sent)
        recorded = self._records.record(claim.account, sent, filled or {})
        still_open = [intent for intent in recorded if intent.status is IntentStatus.PLACED]
        if filled is None and still_open:
            self._hooks.on_placed(claim.account, still_open)
        if len(recorded) < len(sent) or (filled is not None and still_open):
            self._hooks.on_unclear()

    def _filled(self, claim: Claim, sent: Sequence[Sent]) -> Filled | None:
        """Return the fills of the accepted orders already filled; None if they were not read."""
        accepted = {
            each.outcome.order_id: each.submission.intent for each in sent if isinstance(each.outcome, Accepted)
        }
        if self._read is None or not accepted or not self._pace.is_quick(claim.account.user_broker_id):
            return None
        filled = self._read(claim.broker, accepted)
        failpoint(Failpoint.ORDERS_BETWEEN_FETCH_AND_APPLY)
        return filled
