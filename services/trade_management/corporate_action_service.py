"""Corporate actions: adjusts open trades and their plans, and restores them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.trade_management.domain.adjustment import DEFAULT_TICK_SIZE, TradeTerms, scaled_position
from services.trade_management.domain.fills import total_quantity
from services.trade_management.domain.trade import StoredTrade
from services.trade_management.exit_holds import ExitHolds
from services.trade_management.live_exits import LiveExits
from services.trade_management.markets import Markets
from services.trade_management.storage.corporate_actions import (
    CorporateActionRepository,
    StoredAction,
    TradeAdjustment,
)
from services.trade_management.storage.fills import TradeFillRepository
from services.trade_management.storage.trades import TradeRepository
from services.trade_management.trade_events import adjusted
from shared.clock import Clock, trading_day
from shared.contracts.corporate_actions import CorporateAction
from shared.contracts.vocabulary import TradeStatus
from shared.errors import Conflict, InvalidInput
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.scale import PlanScale, Scale
from shared.ids import new_id
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.audit import Act, audit

REVERSAL = timedelta(milliseconds=1)
"""A reversal is effective so long after its action: the exit side then changes the price given by the action."""


class CorporateActionRefused(InvalidInput):
    """Corporate actions impossible on the present open trades."""

    code = "corporate_action_refused"


class CannotReverse(Conflict):
    """Corporate action already reversed, or with trades changed since."""

    code = "cannot_reverse"


@dataclass(frozen=True, slots=True)
class AppliedAction:
    """Action with its changes; `changed` is False if it was applied before."""

    action: StoredAction
    adjustments: Sequence[TradeAdjustment]
    changed: bool = True


class CorporateActionService:
    """Applies and reverses corporate actions. Uses the caller's unit of work and never commits it."""

    def __init__(self, clock: Clock, markets: Markets, live_exits: LiveExits) -> None:
        self._clock = clock
        self._markets = markets
        self._live_exits = live_exits

    @contextmanager
    def holding(self, *, check_exits: bool, dry_run: bool) -> Iterator[ExitHolds | None]:
        """Provide the holds of a request, released if it fails; None if exits are not to be checked."""
        if not check_exits:
            yield None
            return
        holds = ExitHolds(self._live_exits, is_held=not dry_run)
        try:
            yield holds
        except BaseException:
            holds.release()
            raise

    def apply(
        self, uow: UnitOfWork, actions: Sequence[CorporateAction], act: Act, holds: ExitHolds | None
    ) -> list[AppliedAction]:
        """Adjust the trades entered before each action, in order, with audit rows and events.

        An action applied before changes nothing. Without a commit this is a dry run. Without `holds` the caller
        vouches for no exit being live.

        Raises
        ------
        CorporateActionRefused
            `errors` names the lines and why: a live exit, another action of the day, or a trade unable to follow.
        ExitsNotKnown
            exit-api does not hold or tell the exits.
        """
        applied, errors = [], []
        for action in actions:
            try:
                applied.append(self._apply(uow, action, act, holds))
            except InvalidInput as error:
                errors.append({"field": f"line {action.line}", "message": str(error)})
        if errors:
            raise CorporateActionRefused("no corporate action was applied", errors=errors)
        _keep(uow, [each.trade_id for it in applied if it.changed for each in it.adjustments], holds)
        return applied

    def reverse(self, uow: UnitOfWork, action_id: UUID, act: Act, holds: ExitHolds | None) -> AppliedAction:
        """Restore the trades changed by an action; a trade closed since stays as it is.

        Raises
        ------
        NotFound
            The action does not exist.
        CannotReverse
            It was reversed, a trade changed since, or an exit is live.
        ExitsNotKnown
            exit-api does not hold or tell the exits.
        """
        repository = CorporateActionRepository(uow.connection)
        action = repository.lock(action_id)
        if action.reversed_at is not None:
            raise CannotReverse(f"corporate action {action_id} was reversed already")
        done = repository.adjustments(action_id)
        trade_ids = [each.trade_id for each in done]
        if holds is not None:
            holds.hold(trade_ids)
        trades = TradeRepository(uow.connection).lock_rows(trade_ids)
        left = [each for each in done if trades[each.trade_id].status is TradeStatus.OPEN]
        still_open = [trades[each.trade_id] for each in left]
        obstacle = None if holds is None else holds.obstacle(action.new_symbol, still_open)
        if obstacle is not None:
            raise CannotReverse(obstacle)
        changed = [str(each.trade_id) for each in left if _terms(trades[each.trade_id]) != each.after]
        if changed:
            raise CannotReverse(f"trades changed since; adjust them by hand: {', '.join(changed)}", trades=changed)
        now = self._clock.now()
        repository.mark_reversed(action_id, now)
        back = [TradeAdjustment(each.trade_id, each.after, each.before) for each in left]
        scale = Scale(action.shares_before, action.shares_after).inverse
        self._adjust(uow, still_open, back, action, scale, action.effective_at + REVERSAL)
        audit(uow.connection, act, "corporate_action.reverse", str(action_id), before=_facts(action, back))
        _keep(uow, [each.trade_id for each in back], holds)
        return AppliedAction(action, back)

    def _apply(self, uow: UnitOfWork, wanted: CorporateAction, act: Act, holds: ExitHolds | None) -> AppliedAction:
        action = self._stored(wanted)
        repository = CorporateActionRepository(uow.connection)
        known = repository.in_force(action.symbol, action.kind, action.effective_on)
        if known is not None:
            if _what(known) != _what(action):
                raise InvalidInput(
                    f"another {known.kind} of the same day is applied, {known.action_id}; reverse it first"
                )
            return AppliedAction(known, repository.adjustments(known.action_id), changed=False)
        trades = _locked(uow, action, holds)
        adjustments = self._adjustments(uow, trades, action)
        repository.add(action, adjustments)
        scale = Scale(action.shares_before, action.shares_after)
        self._adjust(uow, trades, adjustments, action, scale, action.effective_at)
        audit(
            uow.connection,
            act,
            "corporate_action.apply",
            str(action.action_id),
            after=_facts(action, adjustments),
        )
        return AppliedAction(action, adjustments)

    def _stored(self, wanted: CorporateAction) -> StoredAction:
        now = self._clock.now()
        effective_at = wanted.effective_at or now
        if effective_at > now:
            raise InvalidInput("effective_at is in the future; apply the action once it is effective")
        return StoredAction(
            action_id=new_id(),
            kind=wanted.kind,
            symbol=wanted.symbol,
            new_symbol=wanted.symbol_after,
            shares_before=wanted.scale.before,
            shares_after=wanted.scale.after,
            effective_at=effective_at,
            effective_on=trading_day(effective_at),
            applied_at=now,
        )

    def _adjustments(
        self, uow: UnitOfWork, trades: Sequence[StoredTrade], action: StoredAction
    ) -> list[TradeAdjustment]:
        """Return the new terms of trades.

        Raises
        ------
        InvalidInput
            A trade cannot follow the action.
        """
        scale = Scale(action.shares_before, action.shares_after)
        tick_size = self._markets.of(action.new_symbol).tick_size or DEFAULT_TICK_SIZE
        fills = TradeFillRepository(uow.connection).of_trades([trade.trade_id for trade in trades])
        found = []
        for trade in trades:
            legs = {fill.target_leg for fill in fills.get(trade.trade_id, ()) if fill.target_leg is not None}
            filled = {
                leg: total_quantity(fill for fill in fills[trade.trade_id] if fill.target_leg == leg) for leg in legs
            }
            try:
                after = _scaled(trade, action.new_symbol, PlanScale(scale, tick_size, filled))
            except InvalidInput as error:
                raise InvalidInput(f"trade {trade.trade_id}: {error}") from error
            found.append(TradeAdjustment(trade.trade_id, _terms(trade), after))
        return found

    def _adjust(
        self,
        uow: UnitOfWork,
        trades: Iterable[StoredTrade],
        adjustments: Sequence[TradeAdjustment],
        action: StoredAction,
        scale: Scale,
        effective_at: datetime,
    ) -> None:
        repository = TradeRepository(uow.connection)
        repository.change_terms({each.trade_id: each.after for each in adjustments})
        after = repository.of_ids([each.trade_id for each in adjustments])
        now = self._clock.now()
        for trade in trades:
            uow.emit(adjusted(trade, after[trade.trade_id], action.action_id, action.kind, scale, effective_at, now))


def _scaled(trade: StoredTrade, symbol: str, change: PlanScale) -> TradeTerms:
    quantity, open_quantity, entry_price = scaled_position(trade, change.scale)
    plan = ExitPlan.model_validate(trade.exit_plan).scaled(change, trade.direction, entry_price)
    return TradeTerms(symbol, quantity, open_quantity, entry_price, plan.model_dump(mode="json", exclude_none=True))


def _terms(trade: StoredTrade) -> TradeTerms:
    return TradeTerms(trade.symbol, trade.quantity, trade.open_quantity, trade.entry_price, trade.exit_plan)


def _what(action: StoredAction) -> tuple[str, int, int]:
    return action.new_symbol, action.shares_before, action.shares_after


def _locked(uow: UnitOfWork, action: StoredAction, holds: ExitHolds | None) -> list[StoredTrade]:
    """Return the trades to change, locked, with their exits held before.

    Raises
    ------
    InvalidInput
        One of them has a live exit, or fills not booked yet.
    """
    repository = TradeRepository(uow.connection)
    if holds is None:
        return repository.lock_open(action.symbol, action.effective_at)
    holds.hold(repository.open_of_symbol(action.symbol, action.effective_at))
    trades = repository.lock_open(action.symbol, action.effective_at)
    obstacle = holds.obstacle(action.symbol, trades)
    if obstacle is not None:
        raise InvalidInput(obstacle)
    return trades


def _keep(uow: UnitOfWork, trade_ids: Iterable[UUID], holds: ExitHolds | None) -> None:
    """Let the holds last until the exits know the last change of each trade."""
    if holds is not None:
        after = TradeRepository(uow.connection).of_ids(sorted(set(trade_ids)))
        holds.keep({trade_id: trade.plan_version for trade_id, trade in after.items()})


def _facts(action: StoredAction, adjustments: Sequence[TradeAdjustment]) -> dict[str, object]:
    return {
        "kind": action.kind,
        "symbol": action.symbol,
        "new_symbol": action.new_symbol,
        "shares": f"{action.shares_before}:{action.shares_after}",
        "trades": [str(each.trade_id) for each in adjustments],
    }
