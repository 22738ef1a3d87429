"""Manual exits of every open trade of a filter, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.exit_qualification.bulk_requests import BUSY, MOST, require_condition, require_few
from services.exit_qualification.domain.candidates import ExitCandidates
from services.exit_qualification.domain.intent import ExitIntent, supersedes
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.switches import Switches
from services.exit_qualification.signal_management_service import SignalManagementService
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository, TradeFilter
from services.exit_qualification.storage.operator_controls import SwitchRepository
from shared.clock import Clock
from shared.contracts.vocabulary import ExitReason
from shared.instants import epoch_us
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.audit import Act, audit

IN_PROGRESS, NOT_EXECUTED = "exit_in_progress", "not_executable"


@dataclass(frozen=True, slots=True)
class BulkItem:
    """Open trade of the filter.

    Attributes
    ----------
    skipped:
        Why it is not exited: a code; None if it is, or would be.
    intent:
        Its new exit, or the one in progress against it.
    """

    trade: OpenTrade
    skipped: str | None
    intent: ExitIntent | None


class BulkExitService:
    """Writes manual exits with the same mechanism as detected exits."""

    def __init__(self, signals: SignalManagementService, clock: Clock) -> None:
        self._signals = signals
        self._clock = clock

    def exit(self, uow: UnitOfWork, wanted: TradeFilter, act: Act, *, dry_run: bool) -> list[BulkItem]:
        """Exit the open trades, oldest entry first; with `dry_run` return only the plan. The caller commits.

        Skips trades with a sent or manual exit, outside the rollout, or locked by another transaction.

        Raises
        ------
        InvalidInput
            The filter names nothing, or the trades are more than `MOST`.
        """
        require_condition(wanted, "a symbol", "a product_type", "a user_broker_id")
        trades = OpenTradeRepository(uow.connection)
        found = trades.open_among(wanted, MOST + 1)
        require_few(found, "trades")
        held = trades.held_by_others([trade.trade_id for trade in found])
        switches = SwitchRepository(uow.connection).read()
        judged = self._judged(uow, found, held, switches)
        if dry_run:
            return judged
        written = self._write(uow, [item.trade for item in judged if item.skipped is None], switches)
        facts = {**wanted.facts(), "exits": len(written), "skipped": len(judged) - len(written)}
        audit(uow.connection, act, "exit.bulk", "trades", after=facts)
        return [_after(item, written) for item in judged]

    def _judged(
        self, uow: UnitOfWork, found: Sequence[OpenTrade], held: set[UUID], switches: Switches
    ) -> list[BulkItem]:
        free = [trade.trade_id for trade in found if trade.trade_id not in held]
        found_holders = ExitIntentRepository(uow.connection).find_slot_holders(free)
        holders = {it.trade_id: it for it in found_holders if it.leg is None}
        return [_judge(trade, holders.get(trade.trade_id), trade.trade_id in held, switches) for trade in found]

    def _write(self, uow: UnitOfWork, trades: Sequence[OpenTrade], switches: Switches) -> dict[UUID, ExitIntent]:
        at_us = epoch_us(self._clock.now())
        detected = [ExitCandidates.asked_for(trade, ExitReason.MANUAL, at_us) for trade in trades]
        written = self._signals.on_exits_detected(uow, detected, switches)
        return {exit_.intent.trade_id: exit_.intent for exit_ in written}


def _judge(trade: OpenTrade, holder: ExitIntent | None, is_held: bool, switches: Switches) -> BulkItem:
    if is_held:
        return BulkItem(trade, BUSY, None)
    if holder is not None and not supersedes(ExitReason.MANUAL, holder):
        return BulkItem(trade, IN_PROGRESS, holder)
    if switches.rollout.match(trade.symbol, trade.user_broker_id) is None:
        return BulkItem(trade, NOT_EXECUTED, None)
    return BulkItem(trade, None, None)


def _after(item: BulkItem, written: Mapping[UUID, ExitIntent]) -> BulkItem:
    if item.skipped is not None:
        return item
    intent = written.get(item.trade.trade_id)
    return BulkItem(item.trade, None if intent is not None else IN_PROGRESS, intent)
