"""Exits requested by operators."""

from __future__ import annotations

from uuid import UUID

from services.exit_qualification.domain.candidates import ExitCandidates
from services.exit_qualification.domain.intent import ExitIntent, supersedes
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.switches import Rollout
from services.exit_qualification.signal_management_service import SignalManagementService
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from shared.clock import Clock
from shared.contracts.vocabulary import ExitReason, RolloutMode, TradeStatus
from shared.errors import Conflict, ExitflowError, NotKnownYet
from shared.instants import epoch_us
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.audit import Act, audit


class ExitInProgress(ExitflowError):
    """Trade with a sent exit or a waiting manual exit; a second exit could sell twice."""

    code = "exit_in_progress"
    http_status = 409

    def __init__(self, intent: ExitIntent) -> None:
        super().__init__(f"trade {intent.trade_id} has exit intent {intent.intent_id}, {intent.status}")
        self.intent = intent


class NotExecutable(Conflict):
    """The rollout does not allow the exit's order."""

    code = "not_executable"


class ManualExitService:
    """Writes an operator's exit with the same mechanism as detected exits."""

    def __init__(self, signals: SignalManagementService, clock: Clock) -> None:
        self._signals = signals
        self._clock = clock

    def exit(self, uow: UnitOfWork, trade_id: UUID, act: Act, *, record_only: bool = False) -> ExitIntent:
        """Write an operator's exit with its signal and return its intent; the caller commits.

        It supersedes a waiting exit of lower rank; a leg at the market keeps its quantity. With `record_only` it is
        written and published, never executed.

        Raises
        ------
        NotKnownYet
            The trade is unknown; newly opened trades arrive by trades.v1.
        ExitInProgress
            The trade already has an exit in progress.
        NotExecutable
            The rollout does not execute exits of this trade, and `record_only` is not set.
        Conflict
            The trade is closed, the rollout is off, or it would execute a `record_only` exit.
        """
        trade = self._open_trade(uow, trade_id)
        self._refuse_a_second(uow, trade_id)
        settings = SwitchRepository(uow.connection).read()
        _check_rollout(settings.rollout, trade, record_only=record_only)
        written = self._signals.on_exits_detected(
            uow, [ExitCandidates.asked_for(trade, ExitReason.MANUAL, epoch_us(self._clock.now()))], settings
        )
        if not written:
            raise Conflict(f"trade {trade_id} already has an exit in progress")
        after = {"intent_id": str(written[0].intent.intent_id)}
        audit(uow.connection, act, "exit.manual", str(trade_id), after=after)
        return written[0].intent

    def _open_trade(self, uow: UnitOfWork, trade_id: UUID) -> OpenTrade:
        known = OpenTradeRepository(uow.connection).lock([trade_id]).get(trade_id)
        if known is None:
            raise NotKnownYet(f"trade {trade_id} not found; retry, new trades appear within a second")
        if known.status is not TradeStatus.OPEN:
            raise Conflict(f"trade {trade_id} is {known.status}")
        return known.trade

    def _refuse_a_second(self, uow: UnitOfWork, trade_id: UUID) -> None:
        for holder in ExitIntentRepository(uow.connection).find_slot_holders([trade_id]):
            if holder.leg is None and not supersedes(ExitReason.MANUAL, holder):
                raise ExitInProgress(holder)


def _check_rollout(rollout: Rollout, trade: OpenTrade, *, record_only: bool) -> None:
    if rollout.mode is RolloutMode.OFF:
        raise Conflict("the rollout is off, so no exit can be written; change the rollout")
    executable = rollout.match(trade.symbol, trade.user_broker_id) is not None
    if executable and record_only:
        raise Conflict(f"the rollout is {rollout.mode} and would execute this exit; repeat without record_only")
    if not executable and not record_only:
        raise NotExecutable(
            f"the rollout is {rollout.mode} and does not execute exits of {trade.symbol} at {trade.user_broker_id}; "
            "change the rollout, or set record_only to write and publish the exit without executing it",
            rollout=rollout.mode.value,
        )
