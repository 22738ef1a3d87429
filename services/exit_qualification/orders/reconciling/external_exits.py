"""Exits of reason EXTERNAL: positions closed by orders without our tag, by a human or by the broker's square-off."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from services.exit_qualification.domain.external_fills import (
    Adoption,
    ForeignFill,
    adopt,
    expected_quantity,
    missing_quantity,
)
from services.exit_qualification.domain.order_terms import BrokerStatus, OrderSide
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.accounts.account_readers import AccountReaders
from services.exit_qualification.orders.brokers.port import (
    BrokerFill,
    BrokerOrder,
    BrokerPort,
    BrokerUnavailable,
)
from services.exit_qualification.orders.context import OrderContext
from services.exit_qualification.orders.metrics import EXTERNAL_FILLS, POSITION_SHORTFALL
from services.exit_qualification.orders.reconciling.adopted_fills import write_adopted
from services.exit_qualification.orders.reconciling.broker_positions import positions_by_key, shortfalls
from services.exit_qualification.orders.reconciling.unread_positions import UnreadPositions
from services.exit_qualification.orders.rest import Rest
from services.exit_qualification.storage.broker_positions import BrokerPositionRepository, PositionKey, Recorded
from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from shared.clock import trading_day
from shared.contracts.vocabulary import RolloutMode, TradeStatus
from shared.outbox.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

AGAIN_S = 3.0
"""Pause before a shortfall is looked at again: a position must be short in two looks before a fill is adopted.

Within it an entry becomes known as a trade, although its opposite direction makes it look like an exit.
"""

LOOK_S = 0.2
"""Pause between two looks of a round."""

LONGEST_PAUSE_S = 5.0

AT_ONCE = 4
"""Accounts of a look at least. Reading all of them at once would delay the exits of the moment by as much."""

NO_ANSWER = "no answer since the last look"

_Account = str
Missing = dict[PositionKey, int]
Needed = Mapping[PositionKey, int]


@dataclass(frozen=True, slots=True)
class _Books:
    """Order and trade book of an account, read after its positions."""

    orders: Sequence[BrokerOrder]
    fills: Sequence[BrokerFill]


class ExternalExits:
    """Compares positions at the brokers with open trades, and adopts the fills behind a shortage. Not thread-safe.

    A fill is adopted if its order is not ours, its side reduces the position, and the position is
    smaller than the open trades need in two looks. Of the account's reads, positions come first and our own rows last:
    whatever fills between them makes the shortfall look smaller, never larger.
    """

    def __init__(self, context: OrderContext, rest: Rest, unread: UnreadPositions) -> None:
        self._open_unit = context.open_unit
        self._brokers = context.brokers
        self._terms = context.terms
        self._clock = context.clock
        self._rest = rest
        self._unread = unread
        self._readers = AccountReaders(context.terms.pass_limit.total_seconds())
        self._missing: dict[_Account, Missing] = {}
        self._looked_s: dict[_Account, float] = {}
        self._left: list[_Account] = []
        self._at_once = AT_ONCE
        self._round_began_s = 0.0
        self._next_s = 0.0

    def look_once(self) -> bool:
        """Compare the next accounts, if it is time; return False.

        A round of looks compares every connected account with open trades. It takes as long as positions may go
        without a comparison: the reads of many accounts do not delay the exits of one moment.
        """
        began = self._clock.monotonic()
        if began < self._next_s or not self._rest.is_over():
            return False
        if not self._left:
            self._begin_round(began)
        due = [name for name in self._left if began - self._looked_s.get(name, -math.inf) >= AGAIN_S]
        names = due[: self._at_once]
        self._left = [name for name in self._left if name not in names]
        self._looked_s |= dict.fromkeys(names, began)
        accounts = self._watched(names) if names else {}
        self._rest.begin(began)  # after our own statements: waiting for a broker costs nothing
        self._compare(accounts)
        POSITION_SHORTFALL.set(sum(sum(missing.values()) for missing in self._missing.values()))
        self._next_s = self._clock.monotonic() + LOOK_S
        if not self._left:
            self._next_s = max(self._next_s, self._round_began_s + self._round_pause_s())
        return False

    def pause_s(self) -> float:
        """Return the seconds until the next look, few enough for the reports of its loop to health."""
        return min(max(LOOK_S, self._next_s - self._clock.monotonic()), LONGEST_PAUSE_S)

    def _begin_round(self, now: float) -> None:
        """Note the accounts to compare, the longest waiting first, and how many at once to end in time."""
        accounts = self._watched(None)
        self._missing = {name: missing for name, missing in self._missing.items() if name in accounts}
        self._looked_s = {name: at for name, at in self._looked_s.items() if name in accounts}
        self._unread.keep(accounts.keys())
        self._left = sorted(accounts, key=lambda name: self._looked_s.get(name, -math.inf))
        self._at_once = max(AT_ONCE, math.ceil(len(self._left) * LOOK_S / self._round_pause_s()))
        self._round_began_s = now

    def _round_pause_s(self) -> float:
        """Return the time from one round to the next."""
        return AGAIN_S if any(self._missing.values()) else self._terms.position_watch.total_seconds()

    def _watched(self, names: Collection[_Account] | None) -> dict[_Account, tuple[UserBroker, Needed]]:
        """Return the accounts to compare, of these or of all, with the present needs of their open trades."""
        with self._open_unit() as uow:
            switches = SwitchRepository(uow.connection).read()
            needed = BrokerPositionRepository(uow.connection).needed(names)
        if switches.rollout.mode is RolloutMode.OFF:
            return {}
        return {
            name: (each, needed[name])
            for name, each in switches.brokers.items()
            if name in needed and each.status is BrokerStatus.CONNECTED and not each.token_refused
        }

    def _compare(self, accounts: Mapping[_Account, tuple[UserBroker, Needed]]) -> None:
        why = dict.fromkeys(self._readers.at_work() & accounts.keys(), NO_ANSWER)
        failures = self._readers.run({name: partial(self._look_at, *each) for name, each in accounts.items()})
        for name, error in failures.items():
            if not isinstance(error, BrokerUnavailable):
                raise error
            log.warning("positions of account %s could not be compared: %s", name, error)
            why[name] = str(error)
        self._unread.looked_at(accounts.keys(), why)

    def _look_at(self, account: UserBroker, needed: Needed) -> None:
        broker = self._brokers.port(account)
        positions = positions_by_key(broker, needed.keys())
        missing = shortfalls(needed, positions)
        before, self._missing[account.user_broker_id] = self._missing.get(account.user_broker_id, {}), missing
        for key in missing.keys() - before.keys():
            log.warning("account %s holds %d of %s %s less than its open trades need",
                        account.user_broker_id, missing[key], *key)  # fmt: skip
        again = missing.keys() & before.keys()
        if again:
            books = _read(broker)
            for key in sorted(again):
                self._adopt(account, key, positions.get(key, 0), before[key], books)

    def _adopt(self, account: UserBroker, key: PositionKey, position: int, before: int, books: _Books) -> None:
        fills = [fill for fill in books.fills if (fill.symbol, fill.product_type) == key]
        if not fills:
            return
        with self._open_unit() as uow:
            rows = BrokerPositionRepository(uow.connection)
            if not rows.may_adopt(account):
                return  # another copy does
            trades = rows.held_trades(account.user_broker_id, key)
            if OpenTradeRepository(uow.connection).held_by_others([trade.trade_id for trade in trades]):
                return  # the next look tries again
            trades = rows.held_trades(account.user_broker_id, key)  # again: as they are under the locks
            foreign, unrecorded = _sorted_out(rows, account, fills, books.orders)
            missing = min(before, missing_quantity(expected_quantity(trades) + unrecorded, position))
            adopted = adopt(trades, foreign, missing)
            if adopted:
                self._write(uow, account, adopted)
                uow.commit()
        for each in adopted:
            EXTERNAL_FILLS.inc()
            log.warning("trade %s was closed by %d of fill %s of foreign order %s at account %s",
                        each.trade_id, each.quantity, each.fill.trade_id, each.fill.order_id,
                        account.user_broker_id)  # fmt: skip

    def _write(self, uow: UnitOfWork, account: UserBroker, adopted: Sequence[Adoption]) -> None:
        by_order: dict[tuple[UUID, str], list[Adoption]] = defaultdict(list)
        for each in adopted:
            by_order[each.trade_id, each.fill.order_id].append(each)
        trades = OpenTradeRepository(uow.connection).lock([trade_id for trade_id, _ in by_order], with_rules=False)
        for (trade_id, _), parts in sorted(by_order.items()):
            if trades[trade_id].status is TradeStatus.OPEN:
                write_adopted(uow, account, self._terms, trades[trade_id], parts)


def _read(broker: BrokerPort) -> _Books:
    orders = broker.orders()
    return _Books(orders, broker.trades())


def _sorted_out(
    rows: BrokerPositionRepository, account: UserBroker, fills: Sequence[BrokerFill], orders: Sequence[BrokerOrder]
) -> tuple[list[ForeignFill], int]:
    """Return the foreign fills with their remaining quantities, and our own net quantity not recorded yet."""
    tags = {order.order_id: order.tags for order in orders}
    order_ids = sorted({fill.order_id for fill in fills})
    ours = rows.ours(account.user_broker_id, order_ids, {tag for name in order_ids for tag in tags.get(name, ())})
    recorded = rows.recorded(account, {trading_day(fill.filled_at) for fill in fills}, order_ids)
    foreign, unrecorded = list[ForeignFill](), 0
    for fill in fills:
        known = recorded.get((fill.order_id, fill.trade_id), Recorded())
        left, side = fill.quantity - known.quantity, OrderSide(fill.side)
        if fill.order_id in ours or not ours.isdisjoint(tags.get(fill.order_id, ())):
            unrecorded += left if side is OrderSide.BUY else -left
        elif fill.order_id in tags and left > 0:  # the tags of an order missing in the book are unknown
            foreign.append(
                ForeignFill(
                    fill.order_id, fill.trade_id, fill.exchange, side, left, fill.price, fill.filled_at, known.pieces
                )
            )
    return foreign, unrecorded
