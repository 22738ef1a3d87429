"""Trade management: opens trades and closes them by exit fills, writing rows before events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from services.trade_management.charge_rates import ChargeRates
from services.trade_management.domain.closure import Booking, Closure, TradeHistory, book
from services.trade_management.domain.fill_report import FillReport
from services.trade_management.domain.trade import (
    UNKNOWN_MARKET,
    Market,
    StoredTrade,
    Trade,
    check_change,
    check_market,
    check_opening,
    check_quantity,
)
from services.trade_management.report_judging import CONSUMER, Refusal, ask_about, held_up, judged_reports, new_ones
from services.trade_management.storage.closures import TradeClosureRepository
from services.trade_management.storage.corporate_actions import CorporateActionRepository, StoredAction
from services.trade_management.storage.fills import TradeFillRepository
from services.trade_management.storage.trades import TradeRepository
from services.trade_management.storage.user_brokers import Standing, Standings, UserBrokerRepository
from services.trade_management.trade_events import closed, exit_plan_changed, opened, partially_closed
from shared.clock import Clock, rfc3339
from shared.contracts.trades import TradeEvent
from shared.contracts.vocabulary import TradeStatus
from shared.errors import Conflict, ExitflowError, InvalidInput, Unavailable
from shared.exit_rules.plan import ExitPlan, PlanFields
from shared.outbox import inbox
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.audit import Act, audit
from shared.postgres.hot_path import Answer
from shared.runtime.failpoints import Failpoint, failpoint


@dataclass(frozen=True, slots=True)
class Opening:
    """A trade to open, its plan, the market of the plan, and the trace of the request."""

    trade: Trade
    plan: ExitPlan
    market: Market = UNKNOWN_MARKET
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """Result of applying fill reports: bookings with changes, in order, and refusals.

    Attributes
    ----------
    waiting:
        Reports, by index from 0, left waiting because their trade is locked or has earlier ones waiting.
    """

    bookings: tuple[Booking, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    waiting: tuple[int, ...] = ()


class UnknownUserBroker(InvalidInput):
    """User broker of a new trade is unknown, so its exits could not be executed."""

    code = "unknown_user_broker"


class UserBrokersNotKnown(Unavailable):
    """Nothing was read from operations.controls.v1 yet, so user brokers cannot be checked."""

    code = "user_brokers_not_known"


class EntriesHeld(Conflict):
    """User broker of a new trade lost more than its limit; an operator has to release it."""

    code = "account_held"


class CorporateActionSince(Conflict):
    """Trade entered before a corporate action on its symbol that was applied already: its terms are of before."""

    code = "corporate_action_since"


TOLD_LATE: Final = timedelta(seconds=1)
"""Age of an entry from which corporate actions since then are looked for; requests take less on their way."""


class TradeManagementService:
    """The only writer of trades. Uses the caller's unit of work and never commits it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rates = ChargeRates(clock)

    def ask_standings(self, uow: UnitOfWork, openings: Sequence[Opening]) -> Answer[Standings]:
        """Ask for the standings needed by `open_trades`."""
        return UserBrokerRepository(uow.connection).ask_standings({each.trade.user_broker_id for each in openings})

    def open_trades(
        self, uow: UnitOfWork, openings: Sequence[Opening], standings: Standings
    ) -> list[StoredTrade | ExitflowError]:
        """Store new trades and emit TradeOpened for each; return each as stored, or why it is refused.

        A refused one changes nothing and does not concern the others:

        - `InvalidInput`: `check_opening` or `check_quantity` rejects the trade, or its user broker does not exist.
        - `WouldExitNow`: the last price meets the plan.
        - `UserBrokersNotKnown`: no user broker is known yet.
        - `EntriesHeld`: the user broker lost more than its limit.
        - `CorporateActionSince`: an action since its entry was applied to the open trades of its symbol.
        """
        since = self._actions_since(uow, openings)
        judged = [
            since.get(opening.trade.trade_id) or self._judged(opening, standings[opening.trade.user_broker_id])
            for opening in openings
        ]
        sound = [opening for opening in judged if isinstance(opening, Opening)]
        stored = TradeRepository(uow.connection).insert(
            [(it.trade, it.plan.model_dump_json(exclude_none=True)) for it in sound]
        )
        for opening in sound:
            uow.emit(opened(opening.trade, opening.plan), traceparent=opening.traceparent)
        return [stored[it.trade.trade_id] if isinstance(it, Opening) else it for it in judged]

    def _actions_since(self, uow: UnitOfWork, openings: Sequence[Opening]) -> dict[UUID, CorporateActionSince]:
        """Return the refusal of each trade with a corporate action since its entry; without late ones ask nothing."""
        before = self._clock.now() - TOLD_LATE
        late = [opening.trade for opening in openings if opening.trade.entered_at < before]
        if not late:
            return {}
        actions = CorporateActionRepository(uow.connection).in_force_on({trade.symbol for trade in late})
        return {
            trade.trade_id: _since(trade, action)
            for trade in late
            for action in actions
            if action.symbol == trade.symbol and trade.entered_at < action.effective_at
        }

    def _judged(self, opening: Opening, standing: Standing) -> Opening | ExitflowError:
        """Return an opening with its plan sized, or why it is refused."""
        trade, market = opening.trade, opening.market
        lot = market.lot_size or 1
        try:
            plan = opening.plan.sized(trade.quantity, lot)
            check_opening(trade, plan, self._clock.now(), lot)
            check_quantity(trade, market)
            check_market(trade, plan, market)
            _require_user_broker(trade.user_broker_id, standing)
        except ExitflowError as error:
            return error
        return replace(opening, plan=plan)

    def change_plan(
        self, uow: UnitOfWork, trade: StoredTrade, change: PlanFields, act: Act, *, market: Market = UNKNOWN_MARKET
    ) -> StoredTrade:
        """Store a changed plan with its audit row and emit TradeExitPlanChanged; the trade's row must be locked.

        A change to an equal plan writes nothing.

        Raises
        ------
        TradeNotOpen, PlanContradiction, WouldExitNow, InvalidInput
            See `check_change`, `check_market` and `ExitPlan.changed`.
        """
        before = ExitPlan.model_validate(trade.exit_plan)
        lot = market.lot_size or 1
        after = before.changed(change).sized(trade.quantity, lot)
        fills = TradeFillRepository(uow.connection).of_trades([trade.trade_id]).get(trade.trade_id, [])
        filled_legs: Counter[int] = Counter()
        for fill in fills:
            if fill.target_leg is not None:
                filled_legs[fill.target_leg] += fill.quantity
        check_change(trade, before, after, filled_legs=filled_legs, lot=lot)
        if after == before:
            return trade
        check_market(trade, after, market, before)
        changed = TradeRepository(uow.connection).change_plan(trade.trade_id, _json(after))
        audit(uow.connection, act, "trade.exit_plan", str(trade.trade_id), before=_json(before), after=_json(after))
        uow.emit(exit_plan_changed(trade, after, changed.plan_version, self._clock.now()))
        return changed

    def apply_fills(self, uow: UnitOfWork, reports: Sequence[FillReport], *, queued: bool = False) -> Applied:
        """Book fills, closures, charges, trades and their events in order, each once.

        In the caller's pipeline it waits for the server once, before it knows the trades, if none was reduced before.
        Trades are locked first. The reports of a trade locked by another transaction are returned as waiting, and the
        caller stores them. A report already in the inbox changes nothing.

        Parameters
        ----------
        queued:
            The reports come from the waiting place and are the first of their trades.
        """
        asked = ask_about(uow, reports)
        trades = asked.trades.get()
        held = held_up(uow, trades, asked, queued=queued)
        waiting = [nth for nth, report in enumerate(reports) if report.trade_id in held] if held else []
        sound, refusals = judged_reports(uow, trades, reports, set(waiting))
        booked = self._book(uow, trades, new_ones(uow, reports, sound, asked.fresh.get()))
        bookings = [booking for _, booking in booked]
        events = self._store(uow, bookings)
        failpoint(Failpoint.TRADES_AFTER_CLOSURE)
        plans = TradeRepository(uow.connection).plans_of(
            {report.trade_id for report, booking in booked if _closes_leg(booking)}
        )
        for (report, booking), event in zip(booked, events, strict=True):
            if event is not None:
                uow.emit(event, traceparent=report.traceparent)
            if plans and report.trade_id in plans:
                plans[report.trade_id] = self._after_leg(uow, booking, plans[report.trade_id], report.traceparent)
        return Applied(tuple(bookings), tuple(refusals), tuple(waiting))

    def skip_discarded(self, uow: UnitOfWork, event_ids: Sequence[UUID]) -> None:
        """Record discarded events in the inbox as processed: a late copy changes nothing."""
        if event_ids:
            inbox.ask_accept(uow.connection, CONSUMER, event_ids)

    def _book(
        self, uow: UnitOfWork, trades: dict[UUID, Trade], reports: Sequence[FillReport]
    ) -> list[tuple[FillReport, Booking]]:
        if not reports:
            return []
        histories = _histories(uow, trades)
        schedule = self._rates.of(uow.connection)
        booked = []
        for report in reports:
            booking = book(histories[report.trade_id], report.fills, schedule)
            histories[report.trade_id] = booking.after
            booked.append((report, booking))
        return [(report, booking) for report, booking in booked if booking.recorded]

    def _after_leg(
        self, uow: UnitOfWork, booking: Booking, stored: dict[str, Any], traceparent: str | None
    ) -> dict[str, Any]:
        """Move the stop as the plan says once a leg is filled; return the plan from now on."""
        trade, leg = booking.after.trade, None if booking.closure is None else booking.closure.target_leg
        before = ExitPlan.model_validate(stored)
        if leg is None or trade.status is not TradeStatus.OPEN or not _has_filled(before, booking, leg):
            return stored
        after = before.after_leg_filled(leg, trade.direction, trade.entry_price)
        if after == before:
            return stored
        changed = TradeRepository(uow.connection).change_plan(trade.trade_id, _json(after))
        event = exit_plan_changed(trade, after, changed.plan_version, self._clock.now())
        uow.emit(event, traceparent=traceparent)
        return _json(after)

    def _store(self, uow: UnitOfWork, bookings: Sequence[Booking]) -> list[TradeEvent | None]:
        """Store the bookings and return the event of each; PostgreSQL writes the fills while the events are made."""
        if not bookings:
            return []
        fills = [(booking.after.trade.trade_id, fill) for booking in bookings for fill in booking.recorded]
        closures = [(booking.after.trade.trade_id, booking.closure) for booking in bookings if booking.closure]
        last = {booking.after.trade.trade_id: booking.after for booking in bookings if booking.closure}
        TradeFillRepository(uow.connection).record(fills)
        events = [_event(booking.after, booking.closure) if booking.closure else None for booking in bookings]
        TradeClosureRepository(uow.connection).add(closures)
        TradeRepository(uow.connection).reduce(list(last.values()))
        return events


def _since(trade: Trade, action: StoredAction) -> CorporateActionSince:
    at = action.effective_at.isoformat()
    return CorporateActionSince(
        f"{trade.symbol} had a {action.kind} effective at {at}, after this entry: send the symbol, quantity and prices "
        "of after it, with an entered_at from then on",
        action_id=str(action.action_id),
    )


def _require_user_broker(user_broker_id: str, standing: Standing) -> None:
    if standing.is_known is None:
        raise UserBrokersNotKnown(
            "no user broker is known yet; connect one (`PUT /brokers/{user_broker_id}` of exit-api); "
            "trade-fills reads it within seconds"
        )
    if not standing.is_known:
        raise UnknownUserBroker(
            f"unknown user broker {user_broker_id!r}; connect it first (`PUT /brokers/{{user_broker_id}}` of exit-api)"
        )
    if standing.held_since is not None:
        raise EntriesHeld(
            f"account {user_broker_id} takes no new trades since {rfc3339(standing.held_since)}: "
            f"{standing.held_reason}; an operator releases it (`exitflow accounts release {user_broker_id}`)"
        )


def _json(plan: ExitPlan) -> dict[str, Any]:
    return plan.model_dump(mode="json", exclude_none=True)


def _histories(uow: UnitOfWork, trades: Mapping[UUID, Trade]) -> dict[UUID, TradeHistory]:
    """Return the histories of locked trades; most are whole, and nothing has to be read of them."""
    reduced = [trade_id for trade_id, trade in trades.items() if not trade.is_whole]
    histories = {trade_id: TradeHistory(trade) for trade_id, trade in trades.items()}
    if reduced:
        asking_fills = TradeFillRepository(uow.connection).ask_of_trades(reduced)
        asking_closures = TradeClosureRepository(uow.connection).ask_of_trades(reduced)
        fills, closures = asking_fills.get(), asking_closures.get()
        for trade_id in reduced:
            parts = tuple(fills.get(trade_id, ())), tuple(closures.get(trade_id, ()))
            histories[trade_id] = TradeHistory(trades[trade_id], *parts)
    return histories


def _closes_leg(booking: Booking) -> bool:
    return booking.closure is not None and booking.closure.target_leg is not None


def _has_filled(plan: ExitPlan, booking: Booking, leg: int) -> bool:
    """Return whether this booking fills a leg of the plan to the end."""
    assert booking.closure is not None
    wanted = plan.leg_quantity(leg, booking.after.trade.quantity)
    filled = booking.after.filled_of_leg(leg)
    return wanted is not None and filled - booking.closure.quantity < wanted <= filled


def _event(after: TradeHistory, closure: Closure) -> TradeEvent:
    return closed(after, closure) if closure.final else partially_closed(after, closure)
