"""Repository of accounts' loss limits: profit and loss by account, and the trades for a held account to exit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, TextClause, text

from services.exit_qualification.domain.account_loss import AccountPnl, LossLimit
from services.exit_qualification.domain.intent_state_machine import LIVE, UNSENT
from shared.clock import TRADING_ZONE
from shared.contracts.vocabulary import ExitReason, LossBasis

_COLUMNS = "user_broker_id, loss_limit, basis, trading_day, opening_pnl, peak_pnl, realised_pnl, unrealised_pnl"

WATCHED = text("""
-- account_losses.watched: the state behind a look; the offsets move soon after every stored tick, and with every trade
-- and closure
SELECT (SELECT sum(tick_offset + trade_offset) FROM tick_partitions) AS offsets,
       (clock_timestamp() AT TIME ZONE 'Asia/Kolkata')::date AS today, count(*) AS accounts,
       string_agg(concat_ws(' ', user_broker_id, loss_limit, basis, opening_pnl), ','
                  ORDER BY user_broker_id) AS limits,
       EXISTS (SELECT FROM user_brokers WHERE entries_held_since IS NOT NULL) AS any_held
  FROM account_loss_limits
 WHERE loss_limit IS NOT NULL
""")
LOCK_FREE = text(f"""
-- account_losses.lock_free: limits not judged or changed by another transaction
SELECT {_COLUMNS} FROM account_loss_limits WHERE loss_limit IS NOT NULL ORDER BY user_broker_id FOR UPDATE SKIP LOCKED
""")  # noqa: S608  # our own columns
LOCK = text(f"""
-- account_losses.lock
SELECT {_COLUMNS} FROM account_loss_limits WHERE user_broker_id = :user_broker_id FOR UPDATE
""")  # noqa: S608  # our own columns
FIND = text(f"""
-- account_losses.find
SELECT {_COLUMNS} FROM account_loss_limits WHERE user_broker_id = :user_broker_id
""")  # noqa: S608  # our own columns
PNL = text("""
-- account_losses.pnl: of one snapshot: a fill moves quantity from open to realised at once
SELECT b.user_broker_id, coalesce(closed.pnl, 0) AS realised, coalesce(held.pnl, 0) AS unrealised,
       coalesce(closed.carried, 0) + coalesce(held.carried, 0) AS carried, coalesce(held.unpriced, 0) AS unpriced,
       coalesce(held.unpriced_carried, 0) AS unpriced_carried
  FROM user_brokers b
 CROSS JOIN LATERAL (
   SELECT sum(each.pnl) AS pnl, sum(each.pnl) FILTER (WHERE each.is_carried) AS carried
     FROM (SELECT f.quantity * (f.price - t.entry_price) * CASE t.direction WHEN 'LONG' THEN 1 ELSE -1 END AS pnl,
                  t.entered_at < :began AS is_carried
             FROM exit_fills f
             JOIN open_trades t ON t.trade_id = f.trade_id AND t.user_broker_id = b.user_broker_id
            WHERE f.broker = b.broker AND f.account = b.account AND f.trading_day = :day) AS each) AS closed
 CROSS JOIN LATERAL (
   SELECT sum(each.pnl) AS pnl, sum(each.pnl) FILTER (WHERE each.is_carried) AS carried,
          count(*) FILTER (WHERE each.pnl IS NULL) AS unpriced,
          count(*) FILTER (WHERE each.pnl IS NULL AND each.is_carried) AS unpriced_carried
     FROM (SELECT greatest(0, t.quantity - filled.quantity) * (p.last_price - t.entry_price)
                  * CASE t.direction WHEN 'LONG' THEN 1 ELSE -1 END AS pnl,
                  t.entered_at < :began AS is_carried
             FROM open_trades t
            CROSS JOIN LATERAL (SELECT coalesce(sum(f.quantity), 0) AS quantity
                                  FROM exit_fills f WHERE f.trade_id = t.trade_id) AS filled
             LEFT JOIN market_prices p ON p.symbol = t.symbol
            WHERE t.user_broker_id = b.user_broker_id AND t.status = 'OPEN') AS each) AS held
 WHERE b.user_broker_id = ANY (CAST(:user_broker_ids AS text[]))
""")
SAVE = text("""
-- account_losses.save
INSERT INTO account_loss_limits AS a
       (user_broker_id, loss_limit, basis, trading_day, opening_pnl, peak_pnl, realised_pnl, unrealised_pnl)
VALUES (:user_broker_id, :loss_limit, :basis, :trading_day, :opening_pnl, :peak_pnl, :realised_pnl, :unrealised_pnl)
ON CONFLICT (user_broker_id) DO UPDATE
   SET loss_limit = EXCLUDED.loss_limit, basis = EXCLUDED.basis, trading_day = EXCLUDED.trading_day,
       opening_pnl = EXCLUDED.opening_pnl, peak_pnl = EXCLUDED.peak_pnl, realised_pnl = EXCLUDED.realised_pnl,
       unrealised_pnl = EXCLUDED.unrealised_pnl, judged_at = clock_timestamp()
""")
TO_FLATTEN = text("""
-- account_losses.to_flatten: open trades of held accounts, executed by the rollout and free for an exit for the loss
SELECT t.trade_id
  FROM user_brokers b
 CROSS JOIN rollout r
  JOIN open_trades t ON t.user_broker_id = b.user_broker_id AND t.status = 'OPEN'
  LEFT JOIN exit_episodes e ON e.trade_id = t.trade_id AND e.exit_reason = :reason
 WHERE b.entries_held_since IS NOT NULL AND t.trade_id > :after
   AND (r.mode = 'full' OR r.mode = 'limited' AND (t.symbol = ANY (r.symbols)
                                                   OR t.user_broker_id = ANY (r.user_broker_ids)))
   AND coalesce(e.cooldown_until <= clock_timestamp(), true)
   AND t.quantity > (SELECT coalesce(sum(f.quantity), 0) FROM exit_fills f WHERE f.trade_id = t.trade_id)
   AND NOT EXISTS (
     SELECT FROM exit_intents i
      WHERE i.trade_id = t.trade_id AND i.executable AND i.deleted_at IS NULL AND i.leg IS NULL
        AND (i.status = ANY (:sent) OR i.status = ANY (:unsent) AND i.exit_reason = ANY (:not_lower)))
 ORDER BY t.trade_id
 LIMIT :limit
""")

_NOT_LOWER = [reason for reason in ExitReason if reason.rank <= ExitReason.ACCOUNT_LOSS.rank]


@dataclass(frozen=True, slots=True)
class Watched:
    """State that decides whether a look has anything to do.

    Attributes
    ----------
    offsets:
        Changes with every stored tick, trade and closure.
    today:
        The trading day.
    accounts:
        How many accounts have a limit.
    limits:
        All limits in one text; None: no account has one.
    """

    offsets: Decimal | None
    today: date
    accounts: int
    limits: str | None
    any_held: bool


class AccountLossRepository:
    """Loss limits of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def watched(self) -> Watched:
        """Return the state that decides about a look; reads no trade."""
        return Watched(*self._connection.execute(WATCHED).one())

    def lock_free(self) -> list[LossLimit]:
        """Lock and return the set limits, without those locked by another transaction."""
        return [_limit(row) for row in self._connection.execute(LOCK_FREE)]

    def lock(self, user_broker_id: str) -> LossLimit | None:
        """Lock and return the limit of an account, possibly none; None if it never had one."""
        return self._one(LOCK, user_broker_id)

    def find(self, user_broker_id: str) -> LossLimit | None:
        """Return the limit of an account without a lock; None if it never had one."""
        return self._one(FIND, user_broker_id)

    def pnl(self, user_broker_ids: Collection[str], day: date) -> dict[str, AccountPnl]:
        """Return the profit and loss of these accounts on a trading day, by account."""
        wanted = {"user_broker_ids": list(user_broker_ids), "day": day, "began": _midnight(day)}
        rows = self._connection.execute(PNL, wanted)
        return {user_broker_id: AccountPnl(*found) for user_broker_id, *found in rows}

    def save(self, limits: Sequence[LossLimit]) -> None:
        """Store limits with the figures behind their judgement."""
        if limits:
            self._connection.execute(SAVE, [_values(limit) for limit in limits])

    def to_flatten(self, after: UUID, limit: int) -> list[UUID]:
        """Return the next page of open trades of held accounts not covered by an exit yet, by id.

        An unsent exit covers a trade if it ranks no lower than one for the loss.
        """
        wanted = {
            "after": after,
            "reason": ExitReason.ACCOUNT_LOSS,
            "sent": sorted(LIVE - UNSENT),
            "unsent": sorted(UNSENT),
            "not_lower": _NOT_LOWER,
            "limit": limit,
        }
        return list(self._connection.execute(TO_FLATTEN, wanted).scalars())

    def _one(self, statement: TextClause, user_broker_id: str) -> LossLimit | None:
        row = self._connection.execute(statement, {"user_broker_id": user_broker_id}).one_or_none()
        return None if row is None else _limit(row)


def _midnight(day: date) -> datetime:
    """Return the beginning of a trading day."""
    return datetime.combine(day, time(), TRADING_ZONE)


def _limit(row: Row[Any]) -> LossLimit:
    return LossLimit(
        user_broker_id=row.user_broker_id,
        limit=row.loss_limit,
        basis=LossBasis(row.basis),
        day=row.trading_day,
        opening=row.opening_pnl,
        peak=row.peak_pnl,
        pnl=AccountPnl(row.realised_pnl, row.unrealised_pnl),
    )


def _values(limit: LossLimit) -> dict[str, Any]:
    return {
        "user_broker_id": limit.user_broker_id,
        "loss_limit": limit.limit,
        "basis": limit.basis,
        "trading_day": limit.day,
        "opening_pnl": limit.opening,
        "peak_pnl": limit.peak,
        "realised_pnl": limit.pnl.realised,
        "unrealised_pnl": limit.pnl.unrealised,
    }
