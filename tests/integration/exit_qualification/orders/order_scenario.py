"""A trading scenario in one database: trades with exits, the order process's parts on them, and the rows written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import time as time_of_day
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

from services.exit_qualification.domain.candidates import ExitCandidate, ExitCandidates
from services.exit_qualification.domain.checkpoint import SymbolCheckpoint
from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.domain.square_off import SquareOff
from services.exit_qualification.domain.switches import Rollout, Switches
from services.exit_qualification.domain.symbol_book import SymbolState
from services.exit_qualification.orders.accounts.account_readers import AccountReaders
from services.exit_qualification.orders.asked_exits import AskedFor, need_not_ask
from services.exit_qualification.orders.brokers.port import Brokers
from services.exit_qualification.orders.brokers.registry import BOOK_DAYS
from services.exit_qualification.orders.context import OrderContext
from services.exit_qualification.orders.protection.protective_stops import ProtectiveStops
from services.exit_qualification.orders.reconciling.external_exits import ExternalExits
from services.exit_qualification.orders.reconciling.order_outcomes import OrderOutcomes
from services.exit_qualification.orders.reconciling.pending_order_reconciler import PendingOrderReconciler
from services.exit_qualification.orders.reconciling.placed_orders import read_filled
from services.exit_qualification.orders.reconciling.unread_positions import UnreadPositions
from services.exit_qualification.orders.requalifying.requalification import Requalification
from services.exit_qualification.orders.requalifying.residual_exits import ResidualExits
from services.exit_qualification.orders.rest import Rest
from services.exit_qualification.orders.sending.order_execution_service import OrderExecutionService
from services.exit_qualification.orders.sending.square_off_race import SquareOffRace
from services.exit_qualification.orders.skipped_trades import SkippedTrades
from services.exit_qualification.orders.terms import OrderTerms
from services.exit_qualification.signal_management_service import ExitTerms, SignalManagementService
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.open_trades import ChangedPlan, OpenedTrade, OpenTradeRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_budgets import OrderLimits
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from shared.clock import SystemClock
from shared.contracts.topics import TopicNames
from shared.contracts.trades import TradeExitPlanChanged, TradeOpened
from shared.contracts.vocabulary import Direction, ExitReason, IntentStatus, KillSwitchMode, ProductType, RolloutMode
from shared.exit_rules.plan import ExitPlan
from shared.ids import new_id
from shared.money import to_units
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.postgres.audit import Act
from shared.postgres.engine import look
from shared.runtime.health import Health
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.lone_unit import LoneUnit
from tests.support.signing import SIGNER
from tests.support.waiting import wait_until

SYMBOL = "NSE:INFY"
MINUTE = timedelta(minutes=1)

QUICK = OrderTerms(
    claim=timedelta(seconds=2),
    call_limit=timedelta(seconds=0.1),
    unfilled_cancel=timedelta(seconds=60),
    absence_gap=timedelta(seconds=0.3),
    late_watch=timedelta(),
    backoff_first_s=1.0,
    backoff_max_s=30.0,
    pass_limit=timedelta(seconds=60),
    limits=OrderLimits(per_second=1000, per_minute=10_000, per_day=100_000),
)
PATIENT = replace(QUICK, claim=timedelta(seconds=60))


@dataclass
class OrderScenario:
    """Everything on one database and one scripted broker, step by step, as a test wants it."""

    engine: Engine
    brokers: Brokers
    terms: OrderTerms = PATIENT
    clock: SystemClock = field(default_factory=SystemClock)
    asked: AskedFor = need_not_ask
    progress: int = 0

    def __post_init__(self) -> None:
        self.open_unit: Callable[[], UnitOfWork] = partial(
            LoneUnit, self.engine, Outbox(TopicNames(""), self.clock, SIGNER)
        )
        self.health = Health()
        self.skipped = SkippedTrades(self.health, self.clock)
        self.race = SquareOffRace(self.open_unit, SquareOff({ProductType.MIS: time_of_day(15, 20)}), self.clock)
        self.outcomes = OrderOutcomes(self.open_unit)
        self.context = OrderContext(
            self.open_unit,
            partial(look, self.engine),
            self.brokers,
            self.terms,
            self.clock,
            self.skipped,
            self.asked,
        )
        self.sender = OrderExecutionService(self.context, self.race, self.outcomes)
        readers = AccountReaders(self.terms.pass_limit.total_seconds())
        self.reconciler = PendingOrderReconciler(self.context, readers, self.outcomes, self._progressed)
        no_rest = Rest(self.clock, times=0)
        self.requalification = Requalification(self.context, no_rest, self._progressed)
        signals = SignalManagementService(ExitTerms(MINUTE, MINUTE), self.clock, ExitQualificationService())
        self.external = ExternalExits(self.context, no_rest, UnreadPositions(self.health))
        self.stops = ProtectiveStops(self.context)
        self.remainders = ResidualExits(self.context, signals)

    def sender_that_reads(self) -> OrderExecutionService:
        """A sender with a read of orders before their record, as in the process."""
        return OrderExecutionService(self.context, self.race, self.outcomes, read=read_filled)

    def compare_positions(self) -> None:
        """Look at the positions now, as if every earlier look was long ago."""
        self.external._next_s = 0.0
        self.external._looked_s.clear()
        self.external.look_once()

    def _progressed(self) -> None:
        self.progress += 1

    # before an order

    def open_trade(
        self,
        quantity: int = 100,
        direction: Direction = Direction.LONG,
        user_broker_id: str = "paper",
        plan: ExitPlan | None = None,
        symbol: str = SYMBOL,
    ) -> OpenTrade:
        """A trade entered at 1000 with target 1010 and stop 990, or mirrored."""
        gain, loss = ("1010", "990") if direction is Direction.LONG else ("990", "1010")
        event = TradeOpened(
            trade_id=new_id(),
            symbol=symbol,
            direction=direction,
            product_type=ProductType.MIS,
            user_broker_id=user_broker_id,
            quantity=quantity,
            entry_price=Decimal(1000),
            exit_plan=plan or ExitPlan(target=Decimal(gain), stop_loss=Decimal(loss)),
            entered_at=self.clock.now(),
        )
        if isinstance(self.brokers, ScriptedBroker):
            self.brokers.enter(symbol, ProductType.MIS, direction.sign * quantity)
        with self.engine.begin() as connection:
            trades = OpenTradeRepository(connection)
            trades.insert_opened([OpenedTrade(event, 0, entered_tick=0)])
            return trades.lock([event.trade_id])[event.trade_id].trade

    def change_plan(self, intent: ExitIntent, version: int = 2, **plan: object) -> None:
        """The plan of an intent's trade is replaced."""
        self.change_plan_of(self.trade_of(intent), version, **plan)

    def change_plan_of(self, trade: OpenTrade, version: int = 2, **plan: object) -> None:
        """The plan of a trade is replaced."""
        event = TradeExitPlanChanged(
            trade_id=trade.trade_id,
            symbol=trade.symbol,
            direction=trade.direction,
            product_type=trade.product_type,
            user_broker_id=trade.user_broker_id,
            plan_version=version,
            exit_plan=ExitPlan.model_validate(plan),
            changed_at=self.clock.now(),
        )
        with self.engine.begin() as connection:
            OpenTradeRepository(connection).save_plans([ChangedPlan(event, changed_tick=0)])

    def trade_of(self, intent: ExitIntent) -> OpenTrade:
        """The trade of an intent."""
        with self.engine.begin() as connection:
            return OpenTradeRepository(connection).lock([intent.trade_id])[intent.trade_id].trade

    def detect(
        self,
        trade: OpenTrade,
        reason: ExitReason = ExitReason.TARGET,
        *,
        cooldown_s: float = 60,
        ttl_s: float = 60,
    ) -> ExitIntent:
        """The engine decides to exit a trade; the resulting intent."""
        (found,) = self.detect_all(trade, (reason, None), cooldown_s=cooldown_s, ttl_s=ttl_s)
        return found

    def detect_all(
        self, trade: OpenTrade, *rules: tuple[ExitReason, int | None], cooldown_s: float = 60, ttl_s: float = 60
    ) -> list[ExitIntent]:
        """The engine finds some rules of a trade met at one tick; the resulting intents."""
        terms = ExitTerms(timedelta(seconds=cooldown_s), timedelta(seconds=ttl_s))
        service = SignalManagementService(terms, self.clock, ExitQualificationService())
        now_us = int(self.clock.now().timestamp() * 1_000_000)
        candidates = tuple(_candidate(trade, reason, leg, now_us) for reason, leg in rules)
        with self.open_unit() as uow:
            switches = SwitchRepository(uow.connection).read()
            found = service.on_exits_detected(uow, [ExitCandidates(trade, candidates)], switches)
            uow.commit()
        return [each.intent for each in found if each.intent is not None]

    def approved(self, **trade: Any) -> ExitIntent:
        """An approved exit of a new trade."""
        intent = self.detect(self.open_trade(**trade))
        assert intent.status is IntentStatus.APPROVED
        return intent

    def placed(self, **trade: Any) -> ExitIntent:
        """An exit with its order at the broker."""
        intent = self.approved(**trade)
        assert self.sender.execute_next()
        return self.expect(intent, IntentStatus.PLACED)

    def last_price(self, price: str) -> None:
        """The tick worker saw this price last."""
        with self.engine.begin() as connection:
            connection.execute(
                text("""INSERT INTO tick_symbols (symbol, partition, last_price, last_ts, last_seq)
                        VALUES (:symbol, 0, :price, clock_timestamp(), 1)
                        ON CONFLICT (symbol) DO UPDATE SET last_price = EXCLUDED.last_price"""),
                {"symbol": SYMBOL, "price": Decimal(price)},
            )

    def best_price(self, price: str, tick: int) -> None:
        """The tick worker stored this as the best price of LONG trades since a tick."""
        units = to_units(Decimal(price))
        state = SymbolState(units, tick, tick, ticks=tick, stairs={Direction.LONG: ((tick, units),)})
        with self.engine.begin() as connection:
            TickCheckpointRepository(connection).save_symbols([SymbolCheckpoint(SYMBOL, 0, state)])

    def go_on(self, ended: ExitIntent) -> ExitIntent:
        """The exit of another's remainder, once its back-off is over."""
        wait_until(lambda: self.intents_after(ended) or self.remainders.exit_once(), "the remainder exits")
        (row,) = self.intents_after(ended)
        with self.engine.connect() as connection:
            return ExitIntentRepository(connection).get(row.intent_id)

    def intents_after(self, ended: ExitIntent) -> Any:
        """Ids of later exits of the same trade, as rows."""
        return self._rows(
            """SELECT intent_id FROM exit_intents WHERE trade_id = :trade_id AND created_at > :at""",
            trade_id=ended.trade_id,
            at=ended.created_at,
        )

    # operators

    def kill(self, mode: KillSwitchMode) -> None:
        """Set the kill switch."""
        with self.engine.begin() as connection:
            SwitchRepository(connection).put_kill_switch(mode, Act("test", "test"))

    def switches(self) -> Switches:
        """Return the operators' settings."""
        with self.engine.connect() as connection:
            return SwitchRepository(connection).read()

    def roll_out(self, mode: RolloutMode) -> None:
        """Set the rollout."""
        with self.engine.begin() as connection:
            SwitchRepository(connection).put_rollout(Rollout(mode), Act("test", "test"))

    def connect(self, status: BrokerStatus) -> None:
        """Set the status of the user broker."""
        with self.engine.begin() as connection:
            switches = SwitchRepository(connection)
            switches.put_broker(
                replace(switches.broker("paper"), status=status), Act("test", "test"), book_days=BOOK_DAYS
            )

    # results

    def intent(self, intent: ExitIntent) -> ExitIntent:
        """The intent as it stands."""
        with self.engine.connect() as connection:
            return ExitIntentRepository(connection).get(intent.intent_id)

    def expect(self, intent: ExitIntent, status: IntentStatus) -> ExitIntent:
        """The intent as it stands; it must be in this status."""
        found = self.intent(intent)
        assert found.status is status, found
        return found

    def events(self, intent: ExitIntent) -> list[tuple[str, dict[str, Any]]]:
        """Events of an intent after its approval."""
        return [item for item in self.all_events(intent) if item[0] != "Approved"]

    def all_events(self, intent: ExitIntent) -> list[tuple[str, dict[str, Any]]]:
        """Events of an intent: names without prefix and version, and payloads."""
        rows = self._rows(
            """SELECT ce_type AS type, payload FROM outbox_event
                WHERE ce_subject = :intent_id ORDER BY sequence""",
            intent_id=str(intent.intent_id),
        )
        return [(row.type.split(".")[2].removeprefix("ExitIntent"), json.loads(bytes(row.payload))) for row in rows]

    def event_names(self, intent: ExitIntent) -> list[str]:
        """Their names."""
        return [name for name, _ in self.events(intent)]

    def failures(self, intent: ExitIntent) -> int:
        """How often in a row the intent's reason ended short."""
        (row,) = self._episode(intent)
        return int(row.failures)

    def cooldown_s(self, intent: ExitIntent) -> float:
        """Seconds until the intent's reason may fire again."""
        (row,) = self._episode(intent)
        return float(row.cooldown_s)

    def trade_status(self, trade_id: UUID) -> str:
        """The status of a trade's projection."""
        (row,) = self._rows("SELECT status FROM open_trades WHERE trade_id = :trade_id", trade_id=trade_id)
        return str(row.status)

    def filled_of_trade(self, trade_id: UUID) -> int:
        """Sum of the stored fills of a trade."""
        with self.engine.connect() as connection:
            return ExitFillRepository(connection).totals_of_trades([trade_id]).get(trade_id, 0)

    def send_back_in_time(self, intent: ExitIntent, by: timedelta) -> None:
        """As if the intent had been sent earlier."""
        with self.engine.begin() as connection:
            connection.execute(
                text("""UPDATE exit_intents SET submitted_at = submitted_at - :by, placed_at = placed_at - :by,
                               claimed_until = claimed_until - :by, version = version + 1
                         WHERE intent_id = :intent_id"""),
                {"by": by, "intent_id": intent.intent_id},
            )

    def with_long_back_off(self) -> OrderScenario:
        """Return the same with a back-off longer than a test; `end_cooldown` ends it."""
        return OrderScenario(self.engine, self.brokers, replace(self.terms, backoff_first_s=60, backoff_max_s=600))

    def end_cooldown(self, intent: ExitIntent) -> None:
        """As if the cooldown of the intent's reason were over."""
        with self.engine.begin() as connection:
            connection.execute(
                text("UPDATE exit_episodes SET cooldown_until = clock_timestamp() WHERE trade_id = :trade_id"),
                {"trade_id": intent.trade_id},
            )

    def _episode(self, intent: ExitIntent) -> Any:
        return self._rows(
            """SELECT failures, extract(epoch FROM cooldown_until - clock_timestamp()) AS cooldown_s
                 FROM exit_episodes WHERE trade_id = :trade_id AND exit_reason = :reason""",
            trade_id=intent.trade_id,
            reason=intent.exit_reason,
        )

    def _rows(self, statement: str, **parameters: Any) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(text(statement), parameters).all()


def _candidate(trade: OpenTrade, reason: ExitReason, leg: int | None, at_us: int) -> ExitCandidate:
    condition = trade.rules[reason, leg].condition if (reason, leg) in trade.rules else None
    level = None if condition is None else condition.price * trade.direction.sign
    return ExitCandidate(trade.trade_id, trade.symbol, reason, 1010_0000, at_us, level, leg)
