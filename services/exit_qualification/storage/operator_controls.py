"""Repository of operators' settings: kill switch, rollout, user brokers; every change is audited."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.exit_qualification.domain.book_day import BookDay
from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.domain.switches import Rollout, Switches, UserBroker
from services.exit_qualification.models import KillSwitchRow, RolloutRow, UserBrokerRow
from services.exit_qualification.storage.book_days import books_began
from shared.clock import TRADING_ZONE
from shared.contracts.vocabulary import KillSwitchMode, RolloutMode
from shared.errors import Conflict, NotFound
from shared.postgres.audit import Act, audit
from shared.postgres.hot_path import Answer, ask, fetch
from shared.wording import plural

IDENTITY = ("broker", "account", "root_url")
"""Fields that determine the books with a user broker's orders and fills."""

_SWITCHES = """
SELECT k.mode AS kill_switch, r.mode AS rollout, r.symbols, r.user_broker_ids,
       b.user_broker_id, b.broker, b.account, b.root_url, b.status, b.token_refused_at,
       b.entries_held_since, b.entries_held_reason
  FROM kill_switch k
 CROSS JOIN rollout r
"""
SWITCHES = text(f"""
-- switches.read: one row for each user broker, at least one
{_SWITCHES} LEFT JOIN user_brokers b ON true
""")
SWITCHES_OF = text(f"""
-- switches.read_of: one row for each of these user brokers, at least one
{_SWITCHES} LEFT JOIN user_brokers b ON b.user_broker_id = ANY (CAST(:user_broker_ids AS text[]))
""")
ONE_CHANGE_AT_A_TIME = text("""
-- user_brokers.one_change_at_a_time: taken first: two changes cannot wait for each other below
LOCK TABLE user_brokers IN SHARE ROW EXCLUSIVE MODE
""")
WAIT_BRIEFLY = text("SET LOCAL lock_timeout = '2s'")
OUTWAIT_SENDERS = text("""
-- user_brokers.outwait_senders: whoever claims an intent has read this table in the transaction of the claim
LOCK TABLE user_brokers IN ACCESS EXCLUSIVE MODE
""")
IN_USE = text(f"""
-- exit_intents.in_use: at the broker, or sent since its books began and ended short: fills may still come; protective
-- stops count while the broker may hold them
SELECT count(*)
       + (SELECT count(*) FROM protective_stops s
           WHERE s.user_broker_id = :user_broker_id AND s.ended_at IS NULL AND s.status <> 'WANTED') AS intents,
       count(*) FILTER (WHERE status IN ('UNKNOWN', 'CANCELLED', 'FAILED') AND broker_order_id IS NULL
                              AND filled_quantity = 0) AS without_order
  FROM exit_intents
 WHERE user_broker_id = :user_broker_id AND deleted_at IS NULL
   AND (status IN ('SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED')
        OR status IN ('CANCELLED', 'FAILED') AND submitted_at
           >= {books_began("CAST(:books_begin AS interval)")})
""")  # noqa: S608  # an interval of our own

MIDNIGHT: Final = BookDay(timedelta(), TRADING_ZONE)
"""Trading day of an unsupported broker: nothing of ours is in its books."""


class BrokerInUse(Conflict):
    """User broker with dependent orders: other books would miss its orders and repeat their fills."""

    code = "broker_in_use"


@dataclass(frozen=True, slots=True)
class Setting:
    """One-row setting as operators see it."""

    values: dict[str, Any]
    reason: str
    updated_by: str
    updated_at: datetime


class SwitchRepository:
    """Operators' settings within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self) -> Switches:
        """Return all settings needed by the gates."""
        return self.ask().get()

    def ask(self) -> Answer[Switches]:
        """Ask for the result of `read`."""
        return ask(self._connection, SWITCHES, {}, _switches)

    def ask_of(self, user_broker_ids: Collection[str]) -> Answer[Switches]:
        """Ask for what the gates need for exits of these user brokers."""
        return ask(self._connection, SWITCHES_OF, {"user_broker_ids": sorted(set(user_broker_ids))}, _switches)

    def brokers(self) -> list[UserBroker]:
        """Return every user broker, by id."""
        return [_broker(*row) for row in fetch(self._connection, _BROKERS, {})]

    def broker(self, user_broker_id: str) -> UserBroker:
        """Return one user broker.

        Raises
        ------
        NotFound
            The user broker does not exist.
        """
        wanted = select(*_BROKER).where(UserBrokerRow.user_broker_id == user_broker_id)
        row = self._connection.execute(wanted).one_or_none()
        if row is None:
            raise NotFound(f"user broker {user_broker_id!r} not found")
        return _broker(*row)

    def moves(self, broker: UserBroker) -> bool:
        """Return whether putting this broker adds it or changes its identity; block other changes meanwhile."""
        self._connection.execute(ONE_CHANGE_AT_A_TIME)
        before = self._locked_broker(broker.user_broker_id)
        return before is None or any(before._mapping[name] != getattr(broker, name) for name in IDENTITY)

    def put_broker(
        self, broker: UserBroker, act: Act, *, book_days: Mapping[str, BookDay], orders_not_sent: bool = False
    ) -> None:
        """Add or change a user broker; its identity can change only while no order depends on it.

        Parameters
        ----------
        book_days:
            Of every supported broker, by name.
        orders_not_sent:
            An administrator confirms: orders without a broker id never reached a broker. They do not count, and
            the books of the new broker decide them.

        Raises
        ------
        BrokerInUse
            Orders at the broker or ended short today are in the books of the old identity.
        """
        values: dict[str, Any] = {
            "broker": broker.broker,
            "account": broker.account,
            "root_url": broker.root_url,
            "status": broker.status,
        }
        moves = self.moves(broker)
        before = self._locked_broker(broker.user_broker_id)
        if before is not None and moves:
            day = book_days.get(before._mapping["broker"], MIDNIGHT)
            self._refuse_if_in_use(broker.user_broker_id, day, orders_not_sent)
        statement = upsert(UserBrokerRow).values(user_broker_id=broker.user_broker_id, **values)
        self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["user_broker_id"], set_=values | {"updated_at": func.clock_timestamp()}
            )
        )
        old = None if before is None else {name: before._mapping[name] for name in values}
        after = values | ({"orders_not_sent": True} if orders_not_sent else {})
        audit(self._connection, act, "broker.put", broker.user_broker_id, old, after)

    def hold_entries(self, user_broker_id: str, reason: str, act: Act, facts: Mapping[str, Any]) -> bool:
        """Hold the entries of a user broker; return False if they are held already."""
        values = {"entries_held_since": func.clock_timestamp(), "entries_held_reason": reason}
        return self._change_entries(user_broker_id, values, act, "account.held", facts)

    def release_entries(self, user_broker_id: str, act: Act, facts: Mapping[str, Any]) -> bool:
        """Allow entries of a user broker again; return False if they are not held."""
        values = {"entries_held_since": None, "entries_held_reason": None}
        return self._change_entries(user_broker_id, values, act, "account.released", facts)

    def _change_entries(
        self, user_broker_id: str, values: Mapping[str, Any], act: Act, action: str, facts: Mapping[str, Any]
    ) -> bool:
        held, holds = UserBrokerRow.entries_held_since, values["entries_held_since"] is not None
        changed = (
            update(UserBrokerRow)
            .where(UserBrokerRow.user_broker_id == user_broker_id, held.is_(None) if holds else held.is_not(None))
            .values(**values)
            .returning(UserBrokerRow.user_broker_id)
        )
        if self._connection.execute(changed).one_or_none() is None:
            return False
        audit(self._connection, act, action, user_broker_id, before={"entries_held": not holds}, after=facts)
        return True

    def _locked_broker(self, user_broker_id: str) -> Row[Any] | None:
        wanted = select(*UserBrokerRow.__table__.c).where(UserBrokerRow.user_broker_id == user_broker_id)
        return self._connection.execute(wanted.with_for_update()).one_or_none()

    def _refuse_if_in_use(self, user_broker_id: str, day: BookDay, orders_not_sent: bool) -> None:
        self._connection.execute(WAIT_BRIEFLY)
        self._connection.execute(OUTWAIT_SENDERS)
        counted = self._connection.execute(IN_USE, {"user_broker_id": user_broker_id, "books_begin": day.begins}).one()
        intents = counted.intents - (counted.without_order if orders_not_sent else 0)
        if not intents:
            return
        message = (
            f"{plural(intents, 'order')} of {user_broker_id} at the broker or ended short today: "
            f"{', '.join(IDENTITY)} must stay"
        )
        if counted.without_order and not orders_not_sent:
            message += (
                f"; {counted.without_order} have no order id: send orders_not_sent = true "
                "if certainly none of them reached a broker"
            )
        raise BrokerInUse(message, intents=intents, without_order=counted.without_order)

    def kill_switch(self) -> Setting:
        """Return the kill switch as operators see it."""
        return self._setting(KillSwitchRow.__table__)  # type: ignore[arg-type]  # declared as FromClause

    def put_kill_switch(self, mode: KillSwitchMode, act: Act) -> None:
        """Set the kill switch."""
        self._put(KillSwitchRow.__table__, "kill_switch.put", {"mode": str(mode)}, act)  # type: ignore[arg-type]  # declared as FromClause

    def rollout(self) -> Setting:
        """Return the rollout as operators see it."""
        return self._setting(RolloutRow.__table__)  # type: ignore[arg-type]  # declared as FromClause

    def put_rollout(self, rollout: Rollout, act: Act) -> None:
        """Set the rollout."""
        values = {
            "mode": str(rollout.mode),
            "symbols": sorted(rollout.symbols),
            "user_broker_ids": sorted(rollout.user_broker_ids),
        }
        self._put(RolloutRow.__table__, "rollout.put", values, act)  # type: ignore[arg-type]  # declared as FromClause

    def _setting(self, table: Table) -> Setting:
        row = self._connection.execute(select(*table.c)).one()._mapping
        about = ("only_row", "reason", "updated_by", "updated_at")
        values = {name: value for name, value in row.items() if name not in about}
        return Setting(values, row["reason"], row["updated_by"], row["updated_at"])

    def _put(self, table: Table, action: str, values: dict[str, Any], act: Act) -> None:
        before = self._connection.execute(select(*table.c).with_for_update()).one()._mapping
        self._connection.execute(
            update(table).values(**values, reason=act.reason, updated_by=act.actor, updated_at=func.clock_timestamp())
        )
        audit(self._connection, act, action, table.name, {name: before[name] for name in values}, values)


_BROKER = (
    UserBrokerRow.user_broker_id,
    UserBrokerRow.broker,
    UserBrokerRow.account,
    UserBrokerRow.root_url,
    UserBrokerRow.status,
    UserBrokerRow.token_refused_at,
    UserBrokerRow.entries_held_since,
    UserBrokerRow.entries_held_reason,
)
"""Columns of a user broker, in the order of `_broker`."""

_BROKERS = text(f"""
-- user_brokers.all
SELECT {", ".join(column.key for column in _BROKER)} FROM user_brokers ORDER BY user_broker_id
""")  # noqa: S608  # columns of our own


def _switches(rows: Sequence[tuple[Any, ...]]) -> Switches:
    kill_switch, rollout, symbols, user_broker_ids = rows[0][:4]
    return Switches(
        kill_switch=KillSwitchMode(kill_switch),
        rollout=Rollout(RolloutMode(rollout), frozenset(symbols), frozenset(user_broker_ids)),
        brokers={row[4]: _broker(*row[4:]) for row in rows if row[4] is not None},
    )


def _broker(
    user_broker_id: str,
    broker: str,
    account: str,
    root_url: str,
    status: str,
    token_refused_at: datetime | None,
    entries_held_since: datetime | None,
    entries_held_reason: str | None,
) -> UserBroker:
    return UserBroker(
        user_broker_id,
        broker,
        account,
        root_url,
        BrokerStatus(status),
        token_refused_at=token_refused_at,
        entries_held_since=entries_held_since,
        entries_held_reason=entries_held_reason,
    )
