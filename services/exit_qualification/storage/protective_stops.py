"""Repository of protective stops; every change names the version it read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from services.exit_qualification.domain.book_day import BookDay
from services.exit_qualification.domain.protective_stop import (
    FAILURES,
    HELD,
    FollowedTrigger,
    ProtectiveStop,
    StandingStop,
    planned_trigger,
)
from services.exit_qualification.storage.book_days import books_began
from services.exit_qualification.storage.order_queues import HELD_BY_STOPS, IS_ASKED_FOR, Asked
from shared.contracts.vocabulary import Direction, ProductType, ProtectiveStopStatus, TradeStatus
from shared.errors import StaleVersion
from shared.exit_rules.protective_stop import follows_trail
from shared.exit_rules.stored_plan import read_stored
from shared.ids import client_order_id, new_id
from shared.postgres.hot_path import Answer, ask, fetch
from shared.postgres.named_rows import in_status

COLUMNS = ", ".join(f"s.{field.name}" for field in fields(ProtectiveStop))
_WIDTH = len(fields(ProtectiveStop))
_PLAN = "coalesce(p.exit_plan, t.exit_plan)"
_REMAINING = """
t.quantity - coalesce((SELECT sum(f.quantity) FROM exit_fills f WHERE f.trade_id = t.trade_id), 0)::bigint"""
_PLANNED = """
  FROM (SELECT trade_id FROM open_trades WHERE status = 'OPEN' AND exit_plan ? 'protective_stop'
         UNION SELECT trade_id FROM exit_plans WHERE exit_plan ? 'protective_stop') AS c
  JOIN open_trades t ON t.trade_id = c.trade_id AND t.status = 'OPEN'
  LEFT JOIN exit_plans p ON p.trade_id = t.trade_id
"""
_TO_PROTECT = f"""{_PLANNED}
 WHERE {_PLAN} ? 'protective_stop'
   AND NOT EXISTS (SELECT FROM protective_stops s WHERE s.trade_id = t.trade_id AND s.ended_at IS NULL)"""  # constants

ANY_STOP = f"""
EXISTS (SELECT FROM protective_stops WHERE ended_at IS NULL) OR EXISTS (SELECT {_TO_PROTECT})"""
"""There is a stop, or a trade in need of one."""
ANYTHING = text(f"""
-- protective_stops.anything
SELECT {ANY_STOP}
""")  # the condition above
UNPROTECTED = text(f"""
-- protective_stops.unprotected: trades with a planned stop and without one. After failures in a row the next one
-- waits: half a minute, doubling to an hour
SELECT t.trade_id {_TO_PROTECT}
   AND {_REMAINING} > 0
   AND NOT EXISTS (SELECT FROM exit_intents i
                    WHERE i.trade_id = t.trade_id AND i.executable AND i.deleted_at IS NULL
                      AND i.exit_reason <> 'EXTERNAL' AND i.leg IS NULL
                      AND (i.status IN ('PENDING', 'APPROVED', 'SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED')
                           OR i.status = 'FILLED' AND NOT i.beside_leg))
   AND coalesce((SELECT max(s.ended_at) + make_interval(secs => least(3600, 30 * 2.0 ^ least(count(*) - 1, 30)))
                   FROM protective_stops s
                  WHERE s.trade_id = t.trade_id AND s.end_reason = ANY (CAST(:failures AS text[]))
                    AND s.created_at > coalesce((SELECT max(o.created_at) FROM protective_stops o
                                                  WHERE o.trade_id = t.trade_id AND o.ended_at IS NOT NULL
                                                    AND NOT o.end_reason = ANY (CAST(:failures AS text[]))),
                                                '-infinity'))
                <= clock_timestamp(), true)
 ORDER BY t.trade_id
 LIMIT :limit
""")  # noqa: S608  # constants
_FACTS = f"""
SELECT {COLUMNS},
       t.status, t.symbol, {_REMAINING}, CAST({_PLAN} AS text), coalesce(p.plan_version, 1), n.tick_size"""  # constants
_OF_TRADES = """
  JOIN open_trades t ON t.trade_id = s.trade_id
  LEFT JOIN exit_plans p ON p.trade_id = t.trade_id
  LEFT JOIN instruments n ON n.symbol = s.symbol"""
STANDING = text(f"""
-- protective_stops.standing: those not ended, with the facts for their terms
{_FACTS}
  FROM protective_stops s {_OF_TRADES}
 WHERE s.ended_at IS NULL AND (CAST(:user_broker_id AS text) IS NULL OR s.user_broker_id = :user_broker_id)
 ORDER BY s.created_at, s.stop_id
 LIMIT :limit
""")  # constants
FOLLOWING = text(f"""
-- protective_stops.following: those following the trailing stop of their trade
SELECT {COLUMNS}
  FROM protective_stops s
  JOIN open_trades t ON t.trade_id = s.trade_id AND t.status = 'OPEN'
  LEFT JOIN exit_plans p ON p.trade_id = t.trade_id
 WHERE s.ended_at IS NULL AND {_PLAN} -> 'protective_stop' ? 'trail_step'
 ORDER BY s.stop_id
 LIMIT :limit
""")  # noqa: S608  # constants
WANTED_TERMS = text(f"""
-- protective_stops.wanted_terms: of a trade without a stop yet
SELECT t.user_broker_id, t.symbol, t.direction, t.product_type, {_REMAINING}, CAST({_PLAN} AS text), n.tick_size
  FROM open_trades t
  LEFT JOIN exit_plans p ON p.trade_id = t.trade_id
  LEFT JOIN instruments n ON n.symbol = t.symbol
 WHERE t.trade_id = :trade_id AND {in_status("t", "OPEN")} AND {_PLAN} ? 'protective_stop'
""")  # noqa: S608  # constants
WANT = text("""
-- protective_stops.want
INSERT INTO protective_stops (stop_id, trade_id, user_broker_id, symbol, direction, product_type, status, quantity,
                              trigger_price, client_order_id, followed_price, followed_version)
VALUES (:stop_id, :trade_id, :user_broker_id, :symbol, :direction, :product_type, 'WANTED', :quantity,
        :trigger_price, :client_order_id, :followed_price, :followed_version)
ON CONFLICT DO NOTHING
""")
LOCK = text(f"""
-- protective_stops.lock
{_FACTS}
  FROM protective_stops s {_OF_TRADES}
 WHERE s.stop_id = :stop_id
   FOR UPDATE OF s
""")  # constants
OF_TRADE = text(f"""
-- protective_stops.of_trade: the latest
SELECT {COLUMNS} FROM protective_stops s WHERE s.trade_id = :trade_id ORDER BY s.created_at DESC LIMIT 1
""")  # noqa: S608  # constants
MISSING = text(f"""
-- protective_stops.missing: trades without their planned stop at the broker, with their latest stop
SELECT t.trade_id, t.user_broker_id, t.symbol, t.direction, t.product_type, {_REMAINING}, {COLUMNS} {_PLANNED}
  LEFT JOIN LATERAL (SELECT * FROM protective_stops l WHERE l.trade_id = t.trade_id
                      ORDER BY l.created_at DESC LIMIT 1) s ON true
 WHERE {_PLAN} ? 'protective_stop' AND coalesce(s.status <> ALL (CAST(:held AS text[])), true)
   AND (CAST(:after AS uuid) IS NULL OR t.trade_id > :after)
 ORDER BY t.trade_id
 LIMIT :limit
""")  # noqa: S608  # constants
ENDED_TODAY = text(f"""
-- protective_stops.ended_today: sent since the books of their broker began, ended, and of no exit: fills may still come
SELECT {COLUMNS} FROM protective_stops s
  JOIN user_brokers b ON b.user_broker_id = s.user_broker_id
  JOIN unnest(CAST(:brokers AS text[]), CAST(:begins AS interval[])) AS day (broker, begins) ON day.broker = b.broker
 WHERE s.ended_at >= clock_timestamp() - CAST(:within AS interval) AND s.intent_id IS NULL
   AND s.submitted_at >= {books_began("day.begins")}
 ORDER BY s.ended_at DESC
 LIMIT :limit
""")  # noqa: S608  # constants
_CONDITIONS = {
    "trade_ids": "s.trade_id = ANY (CAST(:trade_ids AS uuid[]))",
    "symbol": "s.symbol = :symbol",
    "user_broker_id": "s.user_broker_id = :user_broker_id",
    "status": "s.status = :status",
    # Not OR: each branch has its own index.
    "order_id": """s.stop_id IN (SELECT stop_id FROM protective_stops WHERE client_order_id = :order_id
                   UNION ALL SELECT stop_id FROM protective_stops WHERE broker_order_id = :order_id)""",
    "before": "s.stop_id < :before",
}
EXITS_DUE = text(f"""
-- protective_stops.exits_due: approved exits of an account: they take its orders first, unless they wait
SELECT EXISTS (SELECT FROM exit_intents i
                WHERE status = 'APPROVED' AND executable AND deleted_at IS NULL AND user_broker_id = :user_broker_id
                  AND coalesce(claimed_until <= clock_timestamp(), true)
                  AND {IS_ASKED_FOR})
""")  # noqa: S608  # a condition of our own
LIMIT = 1000
"""Maximum rows per query; the rest follows."""
MOST_STANDING = 10_000
"""Stops kept in step; newer ones wait until some of these have ended."""


@dataclass(frozen=True, slots=True)
class StopFilter:
    """Conditions on listed stops; None is none, and with `standing` only those not ended."""

    trade_ids: Sequence[UUID] | None = None
    symbol: str | None = None
    user_broker_id: str | None = None
    status: ProtectiveStopStatus | None = None
    standing: bool = False
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class MissingStop:
    """Open trade without its planned protective stop at the broker; `stop` is its latest one."""

    trade_id: UUID
    user_broker_id: str
    symbol: str
    direction: Direction
    product_type: ProductType
    open_quantity: int
    stop: ProtectiveStop | None


class ProtectiveStopRepository:
    """Protective stops of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def anything(self) -> bool:
        """Return whether there is anything to do."""
        ((found,),) = fetch(self._connection, ANYTHING, {})
        return bool(found)

    def unprotected(self) -> list[UUID]:
        """Return trades whose plan asks for a stop, that have none, and may have the next one now."""
        given = {"failures": [str(reason) for reason in FAILURES], "limit": LIMIT}
        return [trade_id for (trade_id,) in fetch(self._connection, UNPROTECTED, given)]

    def want(self, trade_id: UUID, followed: FollowedTrigger | None) -> bool:
        """Write a stop not placed yet; the trade's row must be locked. Return False if it needs none.

        `followed` is the trigger following its trailing stop, if it does.
        """
        rows = fetch(self._connection, WANTED_TERMS, {"trade_id": trade_id})
        if not rows:
            return False
        ((user_broker_id, symbol, direction, product_type, remaining, plan, tick_size),) = rows
        followed_price = None if followed is None else followed.price
        trigger = planned_trigger(read_stored(plan), Direction(direction), tick_size, followed_price)
        if trigger is None or trigger <= 0 or remaining <= 0:
            return False
        stop_id = new_id()
        row = {
            "stop_id": stop_id,
            "trade_id": trade_id,
            "user_broker_id": user_broker_id,
            "symbol": symbol,
            "direction": direction,
            "product_type": product_type,
            "quantity": remaining,
            "trigger_price": trigger,
            "client_order_id": client_order_id(stop_id),
            "followed_price": followed_price,
            "followed_version": None if followed is None else followed.plan_version,
        }
        return self._connection.execute(WANT, row).rowcount == 1

    def standing(self, user_broker_id: str | None = None, asked: Asked = None) -> list[StandingStop]:
        """Return the stops not ended, oldest first, with the facts for their terms.

        Only an exit that may be executed ends a stop: with none in sight, the stop protects the trade.
        """
        given = {"user_broker_id": user_broker_id, "limit": MOST_STANDING}
        held = self._trades_held(None, asked)
        return [_standing(row, held) for row in fetch(self._connection, STANDING, given)]

    def ended_today(self, book_days: Mapping[str, BookDay], within: timedelta) -> list[ProtectiveStop]:
        """Return stops in the broker's books of today that ended within this time, have no exit, and may still fill."""
        begins = [day.begins for day in book_days.values()]
        given = {"brokers": list(book_days), "begins": begins, "within": within, "limit": LIMIT}
        return [_stop(row) for row in fetch(self._connection, ENDED_TODAY, given)]

    def following(self) -> list[ProtectiveStop]:
        """Return the stops not ended and following the trailing stop of an open trade."""
        return [_stop(row) for row in fetch(self._connection, FOLLOWING, {"limit": MOST_STANDING})]

    def lock(self, stop: ProtectiveStop) -> StandingStop:
        """Return a stop read earlier and lock its row; lock its trade's row before.

        Raises
        ------
        StaleVersion
            It has changed since.
        """
        (row,) = fetch(self._connection, LOCK, {"stop_id": stop.stop_id})
        current = _standing(row, self._trades_held(stop.trade_id))
        if current.stop.version != stop.version:
            raise StaleVersion(f"protective stop {stop.stop_id} has changed since version {stop.version}")
        return current

    def of_trade(self, trade_id: UUID) -> ProtectiveStop | None:
        """Return the latest stop of a trade, ended or not; None without any."""
        return self.ask_of_trade(trade_id).get()

    def ask_of_trade(self, trade_id: UUID) -> Answer[ProtectiveStop | None]:
        """Ask for the result of `of_trade`."""
        return ask(self._connection, OF_TRADE, {"trade_id": trade_id}, lambda rows: _stop(rows[0]) if rows else None)

    def find(self, wanted: StopFilter, before: UUID | None, limit: int) -> list[ProtectiveStop]:
        """Return stops within the filter, newest first; `before` is the last id of the page before."""
        given = {
            "trade_ids": wanted.trade_ids,
            "symbol": wanted.symbol,
            "user_broker_id": wanted.user_broker_id,
            "status": wanted.status,
            "order_id": wanted.order_id,
            "before": before,
        }
        given = {name: value for name, value in given.items() if value is not None}
        conditions = [_CONDITIONS[name] for name in given] + (["s.ended_at IS NULL"] if wanted.standing else [])
        statement = text(f"""
-- protective_stops.find
SELECT {COLUMNS} FROM protective_stops s WHERE {" AND ".join(conditions) or "true"}
 ORDER BY s.stop_id DESC LIMIT :limit""")  # noqa: S608  # constants
        return [_stop(tuple(row)) for row in self._connection.execute(statement, {**given, "limit": limit})]

    def missing(self, after: UUID | None, limit: int) -> list[MissingStop]:
        """Return trades without their planned stop, by id; `after` is the last of the page before."""
        given = {"held": [str(status) for status in HELD], "after": after, "limit": limit}
        return [_missing(row) for row in fetch(self._connection, MISSING, given)]

    def exits_due(self, user_broker_id: str, asked: Asked = None) -> bool:
        """Return whether exits of the account wait to be sent."""
        given = {"user_broker_id": user_broker_id, "asked": None if asked is None else list(asked)}
        ((found,),) = fetch(self._connection, EXITS_DUE, given)
        return bool(found)

    def update(self, stop: ProtectiveStop, **changes: Any) -> ProtectiveStop:
        """Change columns of the row at the version read; return the updated stop.

        Raises
        ------
        StaleVersion
            The row has changed since it was read.
        """
        names = ", ".join(f"{name} = :{name}" for name in changes)
        statement = text(f"""
-- protective_stops.update
UPDATE protective_stops s SET {names}, version = s.version + 1
 WHERE s.stop_id = :of_stop AND s.version = :of_version
RETURNING {COLUMNS}""")  # noqa: S608  # names of our own columns
        row = self._connection.execute(
            statement, {**changes, "of_stop": stop.stop_id, "of_version": stop.version}
        ).one_or_none()
        if row is None:
            raise StaleVersion(f"protective stop {stop.stop_id} has changed since version {stop.version}")
        return _stop(tuple(row))

    def _trades_held(self, trade_id: UUID | None, asked: Asked = None) -> set[UUID]:
        """Return trades, or the one, with an exit ready to be sent but for their stop."""
        given = {"trade_id": trade_id, "asked": None if asked is None else list(asked)}
        return {held for (held,) in fetch(self._connection, HELD_BY_STOPS, given)}


def _standing(row: tuple[Any, ...], held: Collection[UUID]) -> StandingStop:
    stop = _stop(row[:_WIDTH])
    status, symbol, remaining, plan, plan_version, tick_size = row[_WIDTH:]
    stored = read_stored(plan)
    trigger = planned_trigger(stored, stop.direction, tick_size, stop.followed_price)
    if follows_trail(stored) and stop.followed_version != plan_version:
        trigger = stop.trigger_price  # the plan changed: its new followed trigger is not known yet
    return StandingStop(stop, TradeStatus(status), symbol, remaining, trigger, stop.trade_id in held)


def _missing(row: tuple[Any, ...]) -> MissingStop:
    trade_id, user_broker_id, symbol, direction, product_type, quantity = row[:-_WIDTH]
    latest = row[-_WIDTH:]
    return MissingStop(
        trade_id,
        user_broker_id,
        symbol,
        Direction(direction),
        ProductType(product_type),
        quantity,
        None if latest[0] is None else _stop(latest),
    )


def _stop(row: tuple[Any, ...]) -> ProtectiveStop:
    values: dict[str, Any] = dict(zip((field.name for field in fields(ProtectiveStop)), row, strict=True))
    values["direction"] = Direction(values["direction"])
    values["product_type"] = ProductType(values["product_type"])
    values["status"] = ProtectiveStopStatus(values["status"])
    return ProtectiveStop(**values)
