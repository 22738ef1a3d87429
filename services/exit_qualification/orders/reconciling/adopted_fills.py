"""Writes exits of reason EXTERNAL: signal, filled intent and fills of a foreign order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.exit_qualification import intent_events
from services.exit_qualification.domain.exit_signal import ExitSignal
from services.exit_qualification.domain.external_fills import Adoption
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.port import BrokerFill
from services.exit_qualification.orders.reconciling.broker_signals import broker_signal
from services.exit_qualification.orders.reconciling.outcome_writer import OutcomeWriter, average_price, exit_fill
from services.exit_qualification.orders.requalifying.locked_exit import LockedExit
from services.exit_qualification.orders.terms import OrderTerms
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.open_trades import TradeProjection
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.contracts.exits import Fill
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.ids import client_order_id, new_id
from shared.outbox.unit_of_work import UnitOfWork


def write_adopted(
    uow: UnitOfWork, account: UserBroker, terms: OrderTerms, trade: TradeProjection, parts: Sequence[Adoption]
) -> ExitIntent:
    """Write the exit closed by one order, and cancel an unsent exit of ours left without quantity by it.

    The trade's row must be locked. A sent exit now too large is cancelled at the broker by the reconciler.

    Raises
    ------
    RowHeld
        The trade's last adoption was at this instant of the database's clock; try again.
    """
    now = OrderQueues(uow.connection).now()
    signal = broker_signal(uow, trade.trade, ExitReason.EXTERNAL, now)
    fills = [
        Fill(
            broker_order_id=part.fill.order_id,
            broker_trade_id=part.broker_trade_id,
            quantity=part.quantity,
            price=part.fill.price,
            filled_at=part.fill.filled_at,
        )
        for part in parts
    ]
    intent = _intent(trade.trade, signal, fills, now)
    ExitIntentRepository(uow.connection).insert([intent], [signal])
    rows = [exit_fill(intent, account, _executed(part)) for part in parts]
    ExitFillRepository(uow.connection).record(rows)
    uow.emit(intent_events.signal_published(signal), intent_events.filled(intent, fills, now))
    uow.emit(*OutcomeWriter(uow.connection, account, terms, now).give_up_empty(LockedExit(intent, trade)))
    return intent


def _intent(trade: OpenTrade, signal: ExitSignal, fills: list[Fill], now: datetime) -> ExitIntent:
    quantity, intent_id = sum(fill.quantity for fill in fills), new_id()
    return ExitIntent(
        intent_id=intent_id,
        signal_id=signal.signal_id,
        trade_id=trade.trade_id,
        user_broker_id=trade.user_broker_id,
        symbol=trade.symbol,
        direction=trade.direction,
        exit_reason=ExitReason.EXTERNAL,
        episode_id=signal.episode_id,
        status=IntentStatus.FILLED,
        quantity=quantity,
        filled_quantity=quantity,
        average_price=average_price(fills),
        product_type=trade.product_type,
        client_order_id=client_order_id(intent_id),
        broker_order_id=fills[0].broker_order_id,
        created_at=now,
        updated_at=now,
        placed_at=now,
        filled_at=now,
        ended_at=now,
    )


def _executed(part: Adoption) -> BrokerFill:
    fill = part.fill
    return BrokerFill(fill.order_id, part.broker_trade_id, fill.exchange, part.quantity, fill.price, fill.filled_at)
