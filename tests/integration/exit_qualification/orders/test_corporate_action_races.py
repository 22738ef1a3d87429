"""A corporate action and an exit of the same trade, in every order of their steps, on both databases and exit-api."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations_with_replacement
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.orders.sending.hold_watch import CONDITION, HoldWatch
from services.exit_qualification.storage.trade_adjustments import AdjustedTrade, TradeAdjustmentRepository
from services.exit_qualification.storage.waiting_errors import AWAITS_CORPORATE_ACTION
from services.trade_management.corporate_action_service import CorporateActionRefused, CorporateActionService
from services.trade_management.live_exits import NO_VERSIONS, ExitApiExits, ExitStanding, Versions
from services.trade_management.markets import NoMarkets
from shared.contracts.corporate_actions import CorporateAction
from shared.contracts.trades import TradeAdjusted
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.postgres.audit import Act
from shared.runtime.health import Health
from tests.integration.exit_qualification.orders.order_scenario import SYMBOL, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.integration.exit_qualification.trade_management import TOKEN, TradeManagement, trade_management
from tests.integration.trade_management import ledger
from tests.integration.trade_management.conftest import trade_engine
from tests.integration.trade_management.told_fills import book_told_fills
from tests.support.servers import Database

__all__ = ["trade_engine"]

RELEASE = text("UPDATE exit_episodes SET cooldown_until = clock_timestamp() WHERE cooldown_until > clock_timestamp()")
FREE = text("""
UPDATE exit_intents SET claimed_until = clock_timestamp(), version = version + 1
 WHERE status = 'APPROVED' AND claimed_until > clock_timestamp()
""")
CLOSED = text("SELECT status, quantity, gross_pnl FROM trades WHERE trade_id = :trade_id")
ADJUSTED = text("""
SELECT convert_from(payload, 'utf8') FROM outbox_event
 WHERE ce_type = 'io.exitflow.TradeAdjusted.v1' AND ce_subject = :trade_id ORDER BY id
""")
FILLED = text("SELECT coalesce(sum(quantity), 0) FROM exit_fills WHERE trade_id = :trade_id")

EXPIRE = text("UPDATE trade_holds SET held_until = clock_timestamp()")

Step = Callable[[], None]


@pytest.fixture
def trades(exit_engine: Engine, trade_engine: Engine, database: Database) -> Iterator[TradeManagement]:
    """exit-api with a token of trade management."""
    with trade_management(exit_engine, trade_engine, database) as found:
        yield found


@dataclass
class LookedAt:
    """Exits as exit-api tells them, with steps of an exit between its answer and the change of the trade."""

    exits: ExitApiExits
    after: Sequence[Step] = ()

    def standings(
        self, trade_ids: Sequence[UUID], hold_s: int | None, versions: Versions = NO_VERSIONS
    ) -> Mapping[UUID, ExitStanding]:
        """The answer of exit-api, a while ago."""
        found = self.exits.standings(trade_ids, hold_s, versions)
        after, self.after = self.after, ()
        for step in after:
            step()
        return found


@dataclass
class Race:
    """One trade of 100 at 1000, an exit of it 1 % higher, and a split of 1:10; the market has the prices of its day."""

    scenario: OrderScenario
    broker: ScriptedBroker
    trades_of: Engine
    looked: LookedAt
    symbol: str
    trade: OpenTrade = field(init=False)
    is_split: bool = False

    def __post_init__(self) -> None:
        self.trade = self.scenario.open_trade(symbol=self.symbol)
        ledger.open_trade(self.trades_of, trade_id=self.trade.trade_id, symbol=self.symbol)

    # steps of the exit: each does nothing where there is nothing to do

    def detect(self) -> None:
        """The engine finds the exit, unless one is live or the trade is closed."""
        with self.scenario.engine.begin() as connection:
            connection.execute(RELEASE)
        self.scenario.detect_all(self.trade, (ExitReason.STOP_LOSS, None))

    def send(self) -> None:
        """exit-orders sends approved exits."""
        with self.scenario.engine.begin() as connection:
            connection.execute(FREE)
        self.scenario.sender.execute_next()

    def fill(self, share: Decimal = Decimal(1), *, ends: bool = False) -> None:
        """The broker fills a part of the rest of each order; then, maybe, cancels the other part."""
        for order in self.orders():
            left = (order.quantity or 0) - order.filled_quantity
            self.broker.fill(order.order_id, max(1, int(left * share)), "101" if self.is_split else "1010")
            if ends:
                self.broker.end(order.order_id)

    def cancel(self) -> None:
        """The broker fills two fifths of the order, and ends it."""
        self.fill(Decimal("0.4"), ends=True)

    def reconcile(self) -> None:
        """exit-orders reads the broker's books."""
        self.scenario.reconciler.reconcile_once()

    def book(self) -> None:
        """trade-fills reads all events of exits."""
        book_told_fills(self.scenario.engine, self.trades_of)

    def orders(self) -> list[Any]:
        """The orders at work at the broker."""
        booked = self.broker._orders.values()
        return [
            it.shown
            for it in booked
            if it.request.tradingsymbol == self.symbol[4:] and it.shown.state is OrderState.WORKING
        ]

    # the action

    def split(self, meanwhile: Sequence[Step]) -> None:
        """trade-api applies the split, with these steps between its look at exits and its commit; or refuses it."""
        self.looked.after = meanwhile
        service = CorporateActionService(ledger.CLOCK, NoMarkets(), self.looked)
        action = CorporateAction.model_validate({"kind": "SPLIT", "symbol": self.symbol, "ratio": "1:10"})
        try:
            with (
                service.holding(check_exits=True, dry_run=False) as holds,
                ledger.unit_of_work(self.trades_of) as uow,
            ):
                service.apply(uow, [action], Act("test", "split"), holds)
                uow.commit()
        except CorporateActionRefused:
            return
        if self.told():
            self.is_split = True
            self.broker.enter(self.symbol, self.trade.product_type, 9 * self.broker._held[self.symbol, "MIS"])

    def told(self) -> list[TradeAdjusted]:
        """What trade management says of the change."""
        with self.trades_of.connect() as connection:
            found = connection.execute(ADJUSTED, {"trade_id": str(self.trade.trade_id)}).scalars()
            return [TradeAdjusted.model_validate_json(said) for said in found]

    def follow(self) -> None:
        """exit-ticks follows the change."""
        for event in self.told():
            self.read(event)

    def read(self, event: TradeAdjusted) -> None:
        """exit-ticks reads one event."""
        with self.scenario.engine.begin() as connection:
            adjustments = TradeAdjustmentRepository(connection)
            adjustments.add([AdjustedTrade(event, 0)])
            adjustments.apply([event.trade_id])

    # the end

    def finish(self) -> None:
        """Let everything go on until nothing is left."""
        for _ in range(8):
            for step in (self.detect, self.send, self.fill, self.reconcile, self.book):
                step()
            if not self.differences():
                return

    def differences(self) -> list[str]:
        """What is not as it should be: all sold, each share once, with the profit of 1 % on 100,000."""
        with self.trades_of.connect() as connection:
            status, quantity, gross = connection.execute(CLOSED, {"trade_id": self.trade.trade_id}).one()
        with self.scenario.engine.connect() as connection:
            filled = int(connection.execute(FILLED, {"trade_id": self.trade.trade_id}).scalar_one())
        found = Counter(
            {
                f"{status}, {filled} filled of {quantity}": (status, filled) != ("CLOSED", quantity),
                f"gross {gross}": gross != 1000,
                f"position {self.broker._held[self.symbol, 'MIS']}": self.broker._held[self.symbol, "MIS"] != 0,
            }
        )
        return [difference for difference, is_so in found.items() if is_so]


WHOLE = ("detect", "send", "fill", "reconcile", "book")
SHORT = ("detect", "send", "cancel", "reconcile", "book")


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("names", [WHOLE, SHORT])
def test_an_exit_and_a_late_split_agree_in_every_order(
    exit_engine: Engine,
    trade_engine: Engine,
    broker: ScriptedBroker,
    trades: TradeManagement,
    names: Sequence[str],
    is_late: bool,
) -> None:
    scenario = OrderScenario(exit_engine, broker)
    looked = LookedAt(ExitApiExits("http://testserver", TOKEN, trades.way))
    wrong, splits = {}, 0
    for nth, cuts in enumerate(combinations_with_replacement(range(len(names) + 1), 3)):
        race = Race(scenario, broker, trade_engine, looked, f"NSE:R{nth}")
        steps = [getattr(race, name) for name in names]
        asked, changed, followed = cuts
        for step in steps[:asked]:
            step()
        race.split(meanwhile=steps[asked:changed])
        if is_late:
            with exit_engine.begin() as connection:
                connection.execute(EXPIRE)
        for step in steps[changed:followed]:
            step()
        race.follow()
        for step in steps[followed:]:
            step()
        race.finish()
        splits += race.is_split
        if found := race.differences():
            wrong[" ".join((*names[:asked], "ASK", *names[asked:changed], "CHANGE", *names[changed:followed], "FOLLOW",
                            *names[followed:]))] = found  # fmt: skip
    assert wrong == {}
    assert splits > len(names), "most actions that come before the order, or after its end, are applied"


def test_a_hold_ends_by_itself_and_at_once_if_asked(
    exit_engine: Engine, trade_engine: Engine, broker: ScriptedBroker, trades: TradeManagement
) -> None:
    scenario = OrderScenario(exit_engine, broker)
    exits = ExitApiExits("http://testserver", TOKEN, trades.way)
    intent = scenario.approved()
    assert exits.standings([intent.trade_id], 60) == {intent.trade_id: ExitStanding(True, 0)}
    assert not scenario.sender.execute_next()
    assert exits.standings([intent.trade_id], None)[intent.trade_id].is_live
    assert not scenario.sender.execute_next(), "a look changes nothing"
    exits.standings([intent.trade_id], 0)
    assert scenario.sender.execute_next()
    scenario.expect(intent, IntentStatus.PLACED)
    other = scenario.approved(symbol="NSE:TCS")
    exits.standings([other.trade_id], 300)
    with exit_engine.begin() as connection:
        connection.execute(EXPIRE)
    assert scenario.sender.execute_next()


def test_a_hold_ends_with_the_last_change(
    exit_engine: Engine, trade_engine: Engine, broker: ScriptedBroker, trades: TradeManagement
) -> None:
    scenario, health = OrderScenario(exit_engine, broker), Health()
    watch = HoldWatch(scenario.open_unit, health)
    exits = ExitApiExits("http://testserver", TOKEN, trades.way)
    race = Race(scenario, broker, trade_engine, LookedAt(exits), SYMBOL)
    service = CorporateActionService(ledger.CLOCK, NoMarkets(), exits)
    actions = [
        CorporateAction.model_validate({"kind": kind, "symbol": SYMBOL, "ratio": ratio})
        for kind, ratio in (("SPLIT", "1:10"), ("BONUS", "1:1"))
    ]
    with service.holding(check_exits=True, dry_run=False) as holds, ledger.unit_of_work(trade_engine) as uow:
        service.apply(uow, actions, Act("test", "two changes"), holds)
        uow.commit()
    intent = scenario.detect(race.trade)
    watch.look_once()
    assert scenario.intent(intent).error_code == AWAITS_CORPORATE_ACTION
    assert health.is_ready(), "its time is not over"
    with exit_engine.begin() as connection:
        connection.execute(EXPIRE)
    exits.standings([race.trade.trade_id], 0)
    first, last = race.told()
    for event in (first, last):
        assert not scenario.sender.execute_next()
        watch.look_once()
        assert set(health.problems()) == {CONDITION}
        race.read(event)
    watch.look_once()
    assert health.is_ready()
    assert scenario.intent(intent).error_code is None
    assert scenario.sender.execute_next()
    assert [order.quantity for order in race.orders()] == [last.quantity]


def test_an_exit_says_until_when_it_is_held(
    exit_engine: Engine, broker: ScriptedBroker, trades: TradeManagement
) -> None:
    scenario = OrderScenario(exit_engine, broker)
    watch = HoldWatch(scenario.open_unit, Health())
    exits = ExitApiExits("http://testserver", TOKEN, trades.way)
    intent = scenario.approved()
    exits.standings([intent.trade_id], 60)
    watch.look_once()
    shown = scenario.intent(intent)
    assert shown.error_code == AWAITS_CORPORATE_ACTION
    assert "at the latest" in (shown.error_message or "")
    version = shown.version
    watch.look_once()
    assert scenario.intent(intent).version == version, "what is shown is not written again"
    exits.standings([intent.trade_id], 0)
    watch.look_once()
    assert scenario.intent(intent).error_code is None


def test_only_its_own_version_withdraws_a_hold(
    exit_engine: Engine, broker: ScriptedBroker, trades: TradeManagement
) -> None:
    scenario = OrderScenario(exit_engine, broker)
    exits = ExitApiExits("http://testserver", TOKEN, trades.way)
    trade_id = scenario.approved().trade_id
    exits.standings([trade_id], 60, {trade_id: 3})
    for versions in ({}, {trade_id: 2}):
        exits.standings([trade_id], 0, versions)
        assert not scenario.sender.execute_next()
    exits.standings([trade_id], 0, {trade_id: 3})
    assert scenario.sender.execute_next()
