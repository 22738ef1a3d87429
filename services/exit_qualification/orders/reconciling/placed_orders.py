"""Orders just placed: read at once and alone: an order filled at once does not wait for a pass."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from uuid import UUID

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.accounts.account_readers import AccountReaders
from services.exit_qualification.orders.brokers.port import BrokerFill, BrokerPort, Brokers, BrokerUnavailable
from services.exit_qualification.orders.reconciling.broker_books import read_fills_of, read_placed
from services.exit_qualification.orders.reconciling.order_outcomes import OrderOutcomes, filled_among
from shared.runtime.failpoints import Failpoint, failpoint

log = logging.getLogger(__name__)


class PlacedOrders:
    """Reads the outcomes of orders right after they were placed. Thread-safe.

    An account is read by one thread at a time, passes of the reconciler included, and orders placed meanwhile
    are read together afterwards.

    Parameters
    ----------
    readers:
        Those of the reconciler.
    on_open:
        Called if an order was not recorded as filled: the passes go on with it.
    """

    def __init__(
        self,
        brokers: Brokers,
        readers: AccountReaders,
        outcomes: OrderOutcomes,
        on_open: Callable[[], None],
    ) -> None:
        self._brokers = brokers
        self._readers = readers
        self._outcomes = outcomes
        self._on_open = on_open
        self._lock = threading.Lock()
        self._placed: dict[str, list[ExitIntent]] = defaultdict(list)

    def look(self, account: UserBroker, placed: Sequence[ExitIntent]) -> None:
        """Read these orders soon, in another thread."""
        with self._lock:
            self._placed[account.user_broker_id] += placed
        self._readers.offer(account.user_broker_id, partial(self._read, account))

    def _read(self, account: UserBroker) -> None:
        with self._lock:
            placed = self._placed.pop(account.user_broker_id, [])
        try:
            books = read_placed(self._brokers.port(account), placed)
        except BrokerUnavailable as error:
            log.info("orders just placed at %s cannot be read, a pass will: %s", account.user_broker_id, error)
            self._on_open()
            return
        failpoint(Failpoint.ORDERS_BETWEEN_FETCH_AND_APPLY)
        seen = [(intent, books.sighting(intent)) for intent in placed]
        if len(self._outcomes.record(filled_among(account, seen))) < len(placed):
            self._on_open()


def read_filled(broker: BrokerPort, accepted: Mapping[str, ExitIntent]) -> dict[UUID, tuple[BrokerFill, ...]]:
    """Return the fills of the orders filled completely, by intent; none if they cannot be read.

    `accepted` is by order id. An order accepted a moment ago is for the quantity it was sent with: its fills alone show
    that it is complete.
    """
    try:
        fills = read_fills_of(broker, accepted)
    except BrokerUnavailable as error:
        log.info("orders just placed cannot be read, a pass will: %s", error)
        return {}
    return {
        intent.intent_id: fills[order_id]
        for order_id, intent in accepted.items()
        if sum(fill.quantity for fill in fills[order_id]) == intent.quantity
    }
