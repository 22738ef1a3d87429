"""The orders to look up in one pass over the brokers' books."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.protective_stop import ProtectiveStop
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.registry import BOOK_DAYS
from services.exit_qualification.orders.metrics import OLDEST_UNKNOWN_SECONDS, UNDECIDABLE
from services.exit_qualification.orders.reconciling.late_fill_watch import EndedOrders, LateFillWatch
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.contracts.vocabulary import IntentStatus

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PendingWork:
    """Orders to look up.

    Attributes
    ----------
    read_at:
        Time of the look, by the database's clock.
    brokers:
        All user brokers by id; none if there is nothing to look up.
    at_broker:
        Exits with an order at work, or perhaps at work, at a broker.
    ended:
        Ended orders with fills perhaps still to come.
    intents, stops:
        The exits of both kinds, and the ended stops, by user broker.
    """

    read_at: datetime
    brokers: dict[str, UserBroker]
    at_broker: list[ExitIntent]
    ended: EndedOrders
    intents: dict[str, list[ExitIntent]] = field(init=False, default_factory=lambda: defaultdict(list))
    stops: dict[str, list[ProtectiveStop]] = field(init=False, default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        """Sort the orders by user broker."""
        for intent in [*self.at_broker, *self.ended.exits]:
            self.intents[intent.user_broker_id].append(intent)
        for stop in self.ended.stops:
            self.stops[stop.user_broker_id].append(stop)

    @property
    def accounts(self) -> list[str]:
        """Return the accounts with books to read."""
        return sorted(self.intents.keys() | self.stops.keys() | self.ended.fills_today.keys())

    def show(self) -> None:
        """Set the age of the oldest UNKNOWN intent and the number of intents only an operator can resolve."""
        sent = [(intent, intent.submitted_at) for intent in self.at_broker if intent.submitted_at is not None]
        ages = [(self.read_at - at).total_seconds() for intent, at in sent if intent.status is IntentStatus.UNKNOWN]
        OLDEST_UNKNOWN_SECONDS.set(max(ages, default=0.0))
        UNDECIDABLE.set(sum(not self._may_show(intent, at) for intent, at in sent))

    def _may_show(self, intent: ExitIntent, sent_at: datetime) -> bool:
        """Return whether the books of the intent's broker must still show an order sent at this instant."""
        day = BOOK_DAYS.get(self.brokers[intent.user_broker_id].broker)
        return day is not None and day.same_books(sent_at, self.read_at)


def find_work(connection: Connection, answer_wait: timedelta, watch: LateFillWatch) -> PendingWork:
    """Return the orders to look up now; first mark late sends UNKNOWN.

    Parameters
    ----------
    answer_wait:
        Time for which an order being sent is left to its sender.
    """
    queues = OrderQueues(connection)
    now = queues.now()
    at_broker = _at_broker(queues, now, answer_wait)
    ended = watch.look(connection, now)
    brokers = SwitchRepository(connection).brokers() if at_broker or ended else []
    return PendingWork(now, {broker.user_broker_id: broker for broker in brokers}, at_broker, ended)


def _at_broker(queues: OrderQueues, now: datetime, answer_wait: timedelta) -> list[ExitIntent]:
    """Return the exits with an order at work, or perhaps so; first mark those with a late sender UNKNOWN."""
    found = queues.at_broker(answer_wait)
    if not any(it.status is IntentStatus.SUBMITTING and (it.claimed_until or now) <= now for it in found):
        return found
    lapsed = queues.lapse_claims()
    log.warning("%d order sends timed out; marked UNKNOWN until reconciliation", lapsed)
    return queues.at_broker(answer_wait)
