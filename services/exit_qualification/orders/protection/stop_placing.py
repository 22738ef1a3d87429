"""Placing of protective stops: a stop is committed as PLACING before the broker is called, and at most one is sent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.domain.gates.gate import Gate, Verdict
from services.exit_qualification.domain.gates.gate_input import ExitRequest, gate_input
from services.exit_qualification.domain.order_terms import reducing_side
from services.exit_qualification.domain.protective_stop import ProtectiveStop, StandingStop, StopTerms, is_met
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.asked_exits import AskedFor, need_not_ask
from services.exit_qualification.orders.brokers.port import (
    TOKEN_EXPIRED,
    Accepted,
    Ambiguous,
    BrokerPort,
    BrokerUnavailable,
    NotAccepted,
    PlaceOutcome,
    TokenExpired,
    stop_order,
)
from services.exit_qualification.orders.sending.order_claims import LONGEST_ERROR
from services.exit_qualification.orders.terms import POSTPONED, OrderTerms
from services.exit_qualification.storage.broker_positions import PositionKey
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.market_facts import MarketFactsRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository, TradeProjection
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_budgets import OrderBudgetRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from services.exit_qualification.storage.protective_stops import ProtectiveStopRepository
from shared.contracts.vocabulary import ExitReason, ProtectiveStopStatus
from shared.outbox.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

EXIT_LIVE: Final = "EXIT_LIVE"
TRIGGER_MET: Final = "TRIGGER_MET"
POSITION_SHORT: Final = "POSITION_SHORT"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a stop must not be placed now."""

    code: str
    message: str


class StopPlacing:
    """Places stops. Stateless, so many threads can share it.

    The gates are those of an exit. With a fresh price the broker hardly ever refuses a trigger as reached. After such
    a refusal an exit of the trade would have to wait until the books prove the absence of the order.
    """

    def __init__(self, open_unit: Callable[[], UnitOfWork], terms: OrderTerms, asked: AskedFor = need_not_ask) -> None:
        self._open_unit = open_unit
        self._terms = terms
        self._asked = asked
        self._gates = ExitQualificationService()

    def place(
        self, account: UserBroker, broker: BrokerPort, wanted: StandingStop, missing: Mapping[PositionKey, int]
    ) -> ProtectiveStop | None:
        """Place a stop if nothing stands against it; return it if the broker accepted its order.

        `missing` is the account's shortage against its open trades.

        Raises
        ------
        RowHeld
            Another transaction holds the trade.
        StaleVersion
            The stop has changed since it was read.
        """
        claimed = self._claim(account, wanted, missing)
        if claimed is None:
            return None
        stop, granted_at = claimed
        outcome = self._looked_up(broker, stop) if wanted.stop.submitted_at is not None else None
        outcome = outcome or broker.place_stop(stop_order(stop))
        return self._record(account, stop, granted_at, outcome)

    def _claim(
        self, account: UserBroker, wanted: StandingStop, missing: Mapping[PositionKey, int]
    ) -> tuple[ProtectiveStop, datetime] | None:
        """Commit the stop as PLACING; return it with the time of its grant, or None if it must wait."""
        with self._open_unit() as uow:
            stops = ProtectiveStopRepository(uow.connection)
            trade = OpenTradeRepository(uow.connection).lock_now(wanted.stop.trade_id)
            standing = stops.lock(wanted.stop)
            terms, now = standing.wanted, OrderQueues(uow.connection).now()
            waits = standing.stop.claimed_until is not None and standing.stop.claimed_until > now
            if not isinstance(terms, StopTerms) or waits or stops.exits_due(account.user_broker_id, self._asked()):
                return None
            refusal = self._refusal(uow, trade, standing, terms, missing)
            if refusal is not None:
                _note(uow, standing.stop, refusal)
                return None
            grant = OrderBudgetRepository(uow.connection, self._terms.limits).take(account, 1)
            if not grant.granted:
                return None
            claimed = stops.update(
                standing.stop,
                status=ProtectiveStopStatus.PLACING,
                quantity=terms.quantity,
                trigger_price=terms.trigger_price,
                submitted_at=now,
                claimed_until=now + self._terms.claim,
                absent_since=None,
                error_code=None,
                error_message=None,
            )
            uow.commit()
        return claimed, grant.taken_at

    def _refusal(
        self,
        uow: UnitOfWork,
        trade: TradeProjection,
        standing: StandingStop,
        terms: StopTerms,
        missing: Mapping[PositionKey, int],
    ) -> Refusal | None:
        stop = standing.stop
        holders = ExitIntentRepository(uow.connection).find_slot_holders([stop.trade_id])
        if any(holder.is_live for holder in holders):
            return Refusal(EXIT_LIVE, "another exit of the trade is in progress")
        market = MarketFactsRepository(uow.connection).read([stop.symbol])[stop.symbol]
        if is_met(terms.trigger_price, stop.direction, market.price.last):
            return Refusal(TRIGGER_MET, f"the last price {market.price.last} has reached the trigger already")
        if missing.get((stop.symbol, stop.product_type.value), 0) > 0:
            return Refusal(POSITION_SHORT, "the account holds less than its open trades need; check the position")
        filled = ExitFillRepository(uow.connection).totals_of_trades([stop.trade_id]).get(stop.trade_id, 0)
        side = reducing_side(stop.direction)
        asked = ExitRequest(ExitReason.STOP_LOSS, 0, stop.user_broker_id, side, stop.product_type)
        switches = SwitchRepository(uow.connection).read()
        result = self._gates.qualify(gate_input(asked, trade.trade, trade.status, filled, holders, switches, market))
        for verdict in result.verdicts:
            if verdict.verdict is not Verdict.PASS:
                return Refusal(verdict.gate.value, f"the gate {verdict.gate.value} does not pass: {verdict.detail}")
        return None if result.executable else Refusal(Gate.ROLLOUT.value, "the rollout does not include the trade")

    def _looked_up(self, broker: BrokerPort, stop: ProtectiveStop) -> PlaceOutcome | None:
        """Return the outcome of an earlier request for the order; None if none arrived."""
        try:
            placed = broker.order_by_tag(stop.client_order_id)
        except BrokerUnavailable as error:
            code = TOKEN_EXPIRED if isinstance(error, TokenExpired) else error.code
            return NotAccepted(f"its tag could not be looked up before sending again: {error}", code, was_sent=False)
        return None if placed is None else Accepted(placed.order_id)

    def _record(
        self, account: UserBroker, stop: ProtectiveStop, granted_at: datetime, outcome: PlaceOutcome
    ) -> ProtectiveStop | None:
        """Record the broker's answer. An accepted order is not armed yet, and an unclear answer is no outcome.

        The order counts from now in the budget: the broker may have taken it only now.
        """
        with self._open_unit() as uow:
            stops = ProtectiveStopRepository(uow.connection)
            match outcome:
                case Accepted(order_id):
                    after = stops.update(stop, broker_order_id=order_id)
                case NotAccepted(reason, code):
                    not_before = outcome.not_before or OrderQueues(uow.connection).now() + POSTPONED
                    after = stops.update(
                        stop,
                        status=ProtectiveStopStatus.WANTED,
                        error_code=code,
                        error_message=reason[:LONGEST_ERROR],
                        claimed_until=not_before,
                    )
                case Ambiguous(code, message):
                    after = stops.update(stop, error_code=code, error_message=message[:LONGEST_ERROR])
            OrderBudgetRepository(uow.connection, self._terms.limits).count_from_now(account, 1, granted_at)
            uow.commit()
        if not isinstance(outcome, Accepted):
            log.warning("protective stop %s of trade %s: %s", stop.stop_id, stop.trade_id, outcome)
            return None
        return after


def _note(uow: UnitOfWork, stop: ProtectiveStop, refusal: Refusal) -> None:
    """Let a waiting stop say why, with one write for each change of the reason."""
    if stop.error_code == refusal.code:
        return
    ProtectiveStopRepository(uow.connection).update(
        stop, error_code=refusal.code, error_message=refusal.message[:LONGEST_ERROR]
    )
    uow.commit()
