"""Projection of trades.v1; the decision about an exit locks its row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.postgresql import insert

from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_trade import NOTHING_SAVED, Facts, OpenTrade, Slot
from services.exit_qualification.domain.planned_trade import planned
from services.exit_qualification.domain.square_off import NEVER, SquareOff
from services.exit_qualification.models import OpenTradeRow
from services.exit_qualification.storage.conditions import Conditions
from shared.contracts.trades import TradeExitPlanChanged, TradeOpened
from shared.contracts.vocabulary import Direction, ProductType, TradeStatus
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.rule import Saved
from shared.exit_rules.stored_plan import read_stored
from shared.money import SCALE
from shared.postgres.hot_path import Answer, ask, fetch, pipelined, send, stream
from shared.postgres.named_rows import in_status
from shared.postgres.row_locks import RowHeld

ROWS_AT_ONCE = 1_000
"""Few enough that a server with a stalled client has sent them all, and can end the idle transaction."""

MOVE = text("""
-- open_trades.move
WITH moved AS (
  SELECT t.trade_id, home.partition
    FROM open_trades t
    JOIN unnest(CAST(:symbols AS text[]), CAST(:partitions AS integer[])) AS home (symbol, partition)
      ON home.symbol = t.symbol
   WHERE t.status = 'OPEN'
   ORDER BY t.trade_id
     FOR UPDATE OF t)
UPDATE open_trades t SET partition = moved.partition, updated_at = clock_timestamp()
  FROM moved WHERE moved.trade_id = t.trade_id
RETURNING t.trade_id
""")

_FACTS = f"""
SELECT t.trade_id, t.symbol, t.direction, t.quantity, t.product_type, t.user_broker_id,
       CAST(t.entry_price * {SCALE} AS bigint), CAST(floor(extract(epoch FROM t.entered_at) * 1000) AS bigint),
       t.status"""  # noqa: S608  # a number of our own
_WITH_PLANS = f"""
{_FACTS}, CAST(coalesce(p.exit_plan, t.exit_plan) AS text), coalesce(p.plan_version, 1),
       coalesce(p.changed_tick, t.entered_tick, 0), CAST(r.states AS text)
  FROM open_trades t
  LEFT JOIN exit_plans p ON p.trade_id = t.trade_id
  LEFT JOIN rule_states r ON r.trade_id = t.trade_id"""
_NAMED = "WHERE t.trade_id = ANY (CAST(:trade_ids AS uuid[])) ORDER BY t.trade_id"

LOCK_FREE = text(f"""
-- open_trades.lock_free: the trades not held by another transaction, without their plans
{_FACTS} FROM open_trades t {_NAMED} FOR UPDATE SKIP LOCKED
""")
LOCK_FREE_ROWS = text("""
-- open_trades.lock_free_rows: as lock_free, without reading the trades
SELECT trade_id FROM open_trades WHERE trade_id = ANY (CAST(:trade_ids AS uuid[])) ORDER BY trade_id
   FOR UPDATE SKIP LOCKED
""")
LOCK = text(f"""
-- open_trades.lock: without plans
{_FACTS} FROM open_trades t {_NAMED} FOR UPDATE
""")
LOCK_WITH_PLANS = text(f"""
-- open_trades.lock_with_plans
{_WITH_PLANS} {_NAMED} FOR UPDATE OF t
""")
FIND = text(f"""
-- open_trades.find
{_WITH_PLANS} {_NAMED}
""")
FOLLOWING = text(f"""
-- open_trades.following: with a protective stop following the trailing stop
{_WITH_PLANS}
 WHERE t.trade_id = ANY (CAST(:trade_ids AS uuid[])) AND {in_status("t", "OPEN")}
   AND coalesce(p.exit_plan, t.exit_plan) -> 'protective_stop' ? 'trail_step'
""")
OPEN_IN = text(f"""
-- open_trades.open_in: all columns for the engine
{_WITH_PLANS} WHERE t.partition = ANY (CAST(:partitions AS integer[])) AND t.status = 'OPEN'
""")
OPEN_AMONG = text(f"""
-- open_trades.open_among: a null condition is none
{_FACTS} FROM open_trades t
 WHERE t.status = 'OPEN'
   AND (CAST(:symbol AS text) IS NULL OR t.symbol = :symbol)
   AND (CAST(:product_type AS text) IS NULL OR t.product_type = :product_type)
   AND (CAST(:user_broker_id AS text) IS NULL OR t.user_broker_id = :user_broker_id)
 ORDER BY t.entered_at, t.trade_id
 LIMIT :limit
""")
KNOWN = text("""
-- open_trades.known
SELECT trade_id FROM open_trades WHERE trade_id = ANY (CAST(:trade_ids AS uuid[]))
""")

SAVE_RULES = text("""
-- rule_states.save
INSERT INTO rule_states (trade_id, states)
SELECT * FROM unnest(CAST(:trade_ids AS uuid[]), CAST(:states AS jsonb[]))
ON CONFLICT (trade_id) DO UPDATE SET states = EXCLUDED.states, updated_at = clock_timestamp()
""")

SAVE_PLANS = text("""
-- exit_plans.save: an older event changes nothing
INSERT INTO exit_plans (trade_id, plan_version, exit_plan, changed_tick, changed_at)
SELECT * FROM unnest(CAST(:trade_ids AS uuid[]), CAST(:versions AS integer[]), CAST(:plans AS jsonb[]),
                     CAST(:ticks AS bigint[]), CAST(:times AS timestamptz[]))
ON CONFLICT (trade_id) DO UPDATE
   SET plan_version = EXCLUDED.plan_version, exit_plan = EXCLUDED.exit_plan, changed_tick = EXCLUDED.changed_tick,
       changed_at = EXCLUDED.changed_at
 WHERE exit_plans.plan_version < EXCLUDED.plan_version
""")

CLOSE = text(f"""
-- open_trades.close: the rows are locked
UPDATE open_trades t SET status = 'CLOSED', updated_at = clock_timestamp()
 WHERE t.trade_id = ANY (CAST(:trade_ids AS uuid[])) AND {in_status("t", "OPEN")}
""")  # noqa: S608  # a condition of our own
FORGET_RULES = text("""
-- rule_states.forget
DELETE FROM rule_states WHERE trade_id = ANY (CAST(:trade_ids AS uuid[]))
""")


@dataclass(frozen=True, slots=True)
class OpenedTrade:
    """Trade to project: event, partition, and its symbol's number of ticks at the first evaluation."""

    event: TradeOpened
    partition: int
    entered_tick: int


@dataclass(frozen=True, slots=True)
class ChangedPlan:
    """Plan to project: event, and its symbol's number of ticks at the first evaluation of the plan."""

    event: TradeExitPlanChanged
    changed_tick: int


@dataclass(frozen=True, slots=True)
class TradeProjection:
    """Projected trade: the engine's data, and whether the trade is open."""

    trade: OpenTrade
    status: TradeStatus


@dataclass(frozen=True, slots=True)
class TradeFilter(Conditions):
    """Open trades meeting every given condition."""

    symbol: str | None = None
    product_type: str | None = None
    user_broker_id: str | None = None


def _facts(
    trade_id: UUID,
    symbol: str,
    direction: str,
    quantity: int,
    product_type: str,
    user_broker_id: str,
    entry_price: int,
    entered_at_ms: int,
) -> Facts:
    """Return the facts in the first columns of `_FACTS`; texts common to many trades are kept once."""
    return (
        trade_id,
        intern(symbol),
        _DIRECTIONS[direction],
        quantity,
        _PRODUCTS[product_type],
        intern(user_broker_id),
        entry_price,
        entered_at_ms,
    )


def _projection(*row: Any) -> TradeProjection:
    """Return the trade of the columns of `_FACTS`, without rules."""
    return TradeProjection(OpenTrade(*_facts(*row[:8])), TradeStatus(row[8]))


def planned_of_row(row: tuple[Any, ...], square_off: SquareOff) -> OpenTrade:
    """Return the trade of the columns of `_WITH_PLANS`, with its rules and their stored states."""
    plan, version, entered_tick, states = row[9:]
    saved = _states_by_slot(row[0], states) if states else NOTHING_SAVED
    return planned(_facts(*row[:8]), read_stored(plan), version, square_off, entered_tick, saved)


def _states_by_slot(trade_id: UUID, states: str) -> dict[Slot, Saved]:
    return {RuleKey.of_slot(trade_id, slot)[1:]: state for slot, state in _decode_states(states).items()}


class OpenTradeRepository:
    """Projected trades of one transaction."""

    def __init__(self, connection: Connection, square_off: SquareOff = NEVER) -> None:
        self._connection = connection
        self._square_off = square_off

    def insert_opened(self, events: Sequence[OpenedTrade]) -> None:
        """Project opened trades; leave known ones unchanged."""
        if not events:
            return
        rows = [
            {
                "trade_id": opened.event.trade_id,
                "symbol": opened.event.symbol,
                "partition": opened.partition,
                "user_broker_id": opened.event.user_broker_id,
                "direction": opened.event.direction,
                "product_type": opened.event.product_type,
                "quantity": opened.event.quantity,
                "entry_price": opened.event.entry_price,
                "exit_plan": opened.event.exit_plan.model_dump(mode="json", exclude_none=True),
                "entered_at": opened.event.entered_at,
                "entered_tick": opened.entered_tick,
            }
            for opened in events
        ]
        self._connection.execute(insert(OpenTradeRow).on_conflict_do_nothing(), rows)

    def mark_closed(self, trade_ids: Sequence[UUID]) -> None:
        """Mark locked trades as closed."""
        if trade_ids:
            with pipelined(self._connection):
                for statement in (CLOSE, FORGET_RULES):
                    send(self._connection, statement, {"trade_ids": list(trade_ids)})

    def lock(self, trade_ids: Sequence[UUID], *, with_rules: bool = True) -> dict[UUID, TradeProjection]:
        """Return the trades and lock their rows in sorted order until the transaction ends; omit unknown ones.

        Without rules for callers with exits to write: reading a plan costs more than all the rest.
        """
        wanted = {"trade_ids": sorted(set(trade_ids))}
        if not with_rules:
            return {row[0]: _projection(*row) for row in fetch(self._connection, LOCK, wanted)}
        rows = fetch(self._connection, LOCK_WITH_PLANS, wanted)
        return {row[0]: TradeProjection(planned_of_row(row, self._square_off), TradeStatus(row[8])) for row in rows}

    def lock_free(self, trade_ids: Collection[UUID]) -> tuple[dict[UUID, TradeProjection], set[UUID]]:
        """Lock the free trades in sorted order; return them without rules, and those held by another transaction."""
        return self.ask_free(trade_ids).get() if trade_ids else ({}, set())

    def ask_free(self, trade_ids: Collection[UUID]) -> Answer[tuple[dict[UUID, TradeProjection], set[UUID]]]:
        """Ask for the result of `lock_free`."""
        wanted = {"trade_ids": sorted(set(trade_ids))}

        def free_and_held(rows: list[tuple[Any, ...]]) -> tuple[dict[UUID, TradeProjection], set[UUID]]:
            free = {row[0]: _projection(*row) for row in rows}
            if len(free) == len(wanted["trade_ids"]):
                return free, set()
            return free, self._known_among(wanted) - free.keys()

        return ask(self._connection, LOCK_FREE, wanted, free_and_held)

    def held_by_others(self, trade_ids: Collection[UUID]) -> set[UUID]:
        """Lock the free trades in sorted order, and return those held by another transaction."""
        wanted = {"trade_ids": sorted(set(trade_ids))}
        free = {trade_id for (trade_id,) in fetch(self._connection, LOCK_FREE_ROWS, wanted)} if trade_ids else set()
        return self._known_among(wanted) - free if len(free) < len(wanted["trade_ids"]) else set()

    def _known_among(self, wanted: Mapping[str, Any]) -> set[UUID]:
        return {trade_id for (trade_id,) in fetch(self._connection, KNOWN, wanted)}

    def lock_now(self, trade_id: UUID) -> TradeProjection:
        """Lock a trade without waiting and return it without its rules.

        Raises
        ------
        RowHeld
            Another transaction holds it.
        """
        free, held = self.lock_free([trade_id])
        if held:
            raise RowHeld(f"another transaction holds trade {trade_id}")
        return free[trade_id]

    def open_in(self, partitions: Sequence[int]) -> Iterator[OpenTrade]:
        """Yield every open trade of these partitions with its rules, without holding all rows in memory."""
        for row in stream(self._connection, OPEN_IN, {"partitions": list(partitions)}, ROWS_AT_ONCE):
            yield planned_of_row(row, self._square_off)

    def find(self, trade_id: UUID) -> TradeProjection | None:
        """Return a trade with its rule states, without a lock; None if it is unknown."""
        return self.find_all([trade_id]).get(trade_id)

    def find_all(self, trade_ids: Collection[UUID]) -> dict[UUID, TradeProjection]:
        """Return these trades with their rule states, without a lock; omit unknown ones."""
        return self.ask_all(trade_ids, lambda: self._square_off).get()

    def ask_all(
        self, trade_ids: Collection[UUID], square_off: Callable[[], SquareOff]
    ) -> Answer[dict[UUID, TradeProjection]]:
        """Ask for the result of `find_all`; the square-off times may be an answer of the same pipeline."""

        def projections(rows: list[tuple[Any, ...]]) -> dict[UUID, TradeProjection]:
            times = square_off()
            return {row[0]: TradeProjection(planned_of_row(row, times), TradeStatus(row[8])) for row in rows}

        return ask(self._connection, FIND, {"trade_ids": sorted(set(trade_ids))}, projections)

    def following(self, trade_ids: Collection[UUID]) -> list[tuple[OpenTrade, ExitPlan]]:
        """Return the open trades among these with a stop following a trailing stop, with states and plan."""
        rows = fetch(self._connection, FOLLOWING, {"trade_ids": sorted(trade_ids)}) if trade_ids else []
        return [(planned_of_row(row, self._square_off), read_stored(row[9])) for row in rows]

    def open_among(self, wanted: TradeFilter, limit: int) -> list[OpenTrade]:
        """Return at most `limit` open trades within the filter, without their rules, in order of entry."""
        given = dict.fromkeys(("symbol", "product_type", "user_broker_id")) | wanted.facts() | {"limit": limit}
        return [_projection(*row).trade for row in fetch(self._connection, OPEN_AMONG, given)]

    def symbols_open(self) -> list[tuple[str, int]]:
        """Return every symbol with open trades, with its projected partition."""
        rows = self._connection.execute(
            select(OpenTradeRow.symbol, OpenTradeRow.partition)
            .where(OpenTradeRow.status == TradeStatus.OPEN)
            .distinct()
        )
        return [(symbol, partition) for symbol, partition in rows]

    def move(self, homes: Mapping[str, int]) -> int:
        """Move the open trades on these symbols to other partitions; return how many. Rows are locked in order."""
        if not homes:
            return 0
        values = {"symbols": list(homes), "partitions": list(homes.values())}
        return len(self._connection.execute(MOVE, values).all())

    def save_plans(self, changed: Sequence[ChangedPlan]) -> None:
        """Store changed plans, in their order; an older one changes nothing."""
        newest = {each.event.trade_id: each for each in changed}
        if not newest:
            return
        rows = [newest[trade_id] for trade_id in sorted(newest)]
        parameters = {
            "trade_ids": [row.event.trade_id for row in rows],
            "versions": [row.event.plan_version for row in rows],
            "plans": [row.event.exit_plan.model_dump_json(exclude_none=True) for row in rows],
            "ticks": [row.changed_tick for row in rows],
            "times": [row.event.changed_at for row in rows],
        }
        self._connection.execute(SAVE_PLANS, parameters)

    def save_rules(self, moved: Mapping[UUID, Mapping[RuleKey, Saved]]) -> None:
        """Store the rule states of these trades."""
        if not moved:
            return
        trade_ids = sorted(moved)
        states = [{key.slot: saved for key, saved in moved[trade_id].items()} for trade_id in trade_ids]
        parameters = {"trade_ids": trade_ids, "states": [msgspec.json.encode(each).decode() for each in states]}
        send(self._connection, SAVE_RULES, parameters)


_DIRECTIONS = {each.value: each for each in Direction}
_PRODUCTS = {each.value: each for each in ProductType}
_decode_states: Final[Callable[[str], dict[str, Saved]]] = msgspec.json.Decoder(dict[str, Saved]).decode
