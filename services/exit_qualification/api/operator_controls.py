"""Routes of the operators' controls: kill switch, rollout, user brokers. Every change is audited."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import Path

from services.exit_qualification.api.context import Context
from services.exit_qualification.api.control_views import (
    BrokerList,
    BrokerView,
    KillSwitchAnswer,
    KillSwitchView,
    OrderOnItsWay,
    PutBroker,
    PutKillSwitch,
    PutRollout,
    RolloutView,
)
from services.exit_qualification.control_events import rollout_changed, user_broker_changed
from services.exit_qualification.domain.switches import Rollout, UserBroker
from services.exit_qualification.orders.brokers.registry import BOOK_DAYS
from services.exit_qualification.storage.exit_lists import ExitLists, WaitingError
from services.exit_qualification.storage.operator_controls import Setting, SwitchRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.contracts.exits import ErrorDetail
from shared.contracts.trades import UserBrokerId
from shared.http.auth import Operator, Reader, Scope
from shared.http.declared_errors import declared
from shared.http.routing import api_router
from shared.postgres.audit import Act

router = api_router(tags=["switches"])

BrokerPath = Annotated[UserBrokerId, Path()]


@router.get("/kill-switch")
def kill_switch(context: Context, _: Reader) -> KillSwitchView:
    """Return the kill switch."""
    with context.unit_of_work() as uow:
        return KillSwitchView(**_facts(SwitchRepository(uow.connection).kill_switch()))


@router.put("/kill-switch")
def put_kill_switch(body: PutKillSwitch, context: Context, caller: Operator) -> KillSwitchAnswer:
    """Stop exits, or allow them again.

    The answer to ALL comes within 3 s, when no sender can still send. After it no exit order reaches a broker except
    manual ones and those listed in `on_their_way`.
    """
    done = context.kill_switch.put(context.unit_of_work, body.mode, Act(caller.name, body.reason))
    on_their_way = [OrderOnItsWay.of(intent) for intent in done.on_their_way]
    return KillSwitchAnswer(**_facts(done.setting), on_their_way=on_their_way)


@router.get("/rollout")
def rollout(context: Context, _: Reader) -> RolloutView:
    """Return the rollout."""
    with context.unit_of_work() as uow:
        return RolloutView(**_facts(SwitchRepository(uow.connection).rollout()))


@router.put("/rollout")
def put_rollout(body: PutRollout, context: Context, caller: Operator) -> RolloutView:
    """Set the rollout: off → dark → limited → full; it applies from the next tick."""
    wanted = Rollout(body.mode, frozenset(body.symbols), frozenset(body.user_broker_ids))
    with context.unit_of_work() as uow:
        switches = SwitchRepository(uow.connection)
        switches.put_rollout(wanted, Act(caller.name, body.reason))
        now = switches.rollout()
        uow.emit(rollout_changed(now))
        uow.commit()
    return RolloutView(**_facts(now))


@router.get("/brokers")
def brokers(context: Context, _: Reader) -> BrokerList:
    """List every user broker."""
    with context.unit_of_work() as uow:
        found = SwitchRepository(uow.connection).brokers()
        errors = ExitLists(uow.connection).waiting_errors()
    return BrokerList(items=[_view(broker, context.clock.now(), errors) for broker in found])


@router.get("/brokers/{user_broker_id}", responses=declared(404))
def one_broker(user_broker_id: BrokerPath, context: Context, _: Reader) -> BrokerView:
    """Return one user broker."""
    with context.unit_of_work() as uow:
        errors = ExitLists(uow.connection).waiting_errors()
        return _view(SwitchRepository(uow.connection).broker(user_broker_id), context.clock.now(), errors)


@router.put("/brokers/{user_broker_id}", responses=declared(409))
def put_broker(user_broker_id: BrokerPath, body: PutBroker, context: Context, caller: Operator) -> BrokerView:
    """Add or change a user broker; while DISCONNECTED its exits wait.

    A new user broker, or another `broker`, `account` or `root_url`, needs scope `admin` and a host allowed by the
    setting EXITFLOW_BROKER_HOSTS (422 `broker_host_refused`). These fields cannot change while exits are at the
    broker or ended short today (409 `broker_in_use`). Exits without an order id do not count if the caller confirms
    `orders_not_sent`.
    """
    broker = UserBroker(user_broker_id, body.broker, body.account, body.root_url, body.status)
    with context.unit_of_work() as uow:
        switches = SwitchRepository(uow.connection)
        if switches.moves(broker):
            caller.require(Scope.ADMIN)
            context.broker_hosts.require(broker.root_url)
        switches.put_broker(
            broker, Act(caller.name, body.reason), book_days=BOOK_DAYS, orders_not_sent=body.orders_not_sent
        )
        now = switches.broker(user_broker_id)  # with the hold of its entries: a request does not carry it
        # By the database's clock, as for a hold and its release: readers ignore an older event.
        uow.emit(user_broker_changed(now, OrderQueues(uow.connection).now()))
        uow.commit()
    return _view(now, context.clock.now())


def _facts(setting: Setting) -> dict[str, Any]:
    return {
        **setting.values,
        "reason": setting.reason,
        "updated_by": setting.updated_by,
        "updated_at": setting.updated_at,
    }


def _view(
    broker: UserBroker, at: datetime, waiting_errors: Mapping[str, WaitingError] = MappingProxyType({})
) -> BrokerView:
    day = BOOK_DAYS.get(broker.broker)
    error = waiting_errors.get(broker.user_broker_id)
    return BrokerView(
        user_broker_id=broker.user_broker_id,
        broker=broker.broker,
        account=broker.account,
        root_url=broker.root_url,
        status=broker.status,
        token_refused_at=broker.token_refused_at,
        token_ends_at=None if day is None else day.ends_after(at),
        entries_held_since=broker.entries_held_since,
        entries_held_reason=broker.entries_held_reason,
        waiting_error=None if error is None else ErrorDetail(code=error.code, message=error.message),
    )
