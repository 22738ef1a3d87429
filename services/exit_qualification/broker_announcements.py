"""Announcements of user brokers without an event, e.g. those stored before the event existed."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, text

from services.exit_qualification.control_events import user_broker_changed
from services.exit_qualification.storage.operator_controls import SwitchRepository
from shared.clock import Clock
from shared.contracts.controls import user_broker_key
from shared.contracts.topics import OPERATIONS_CONTROLS, TopicNames
from shared.outbox.unit_of_work import UnitOfWork

TOLD = text("""
-- outbox_sequence.told: keys with an event
SELECT key FROM outbox_sequence WHERE topic = :topic AND key = ANY (CAST(:keys AS text[]))
""")


class BrokerAnnouncements:
    """Publishes user brokers without an event. An operator's change publishes its event in its own transaction."""

    def __init__(self, open_unit: Callable[[], UnitOfWork], topics: TopicNames, clock: Clock) -> None:
        self._open_unit = open_unit
        self._topic = topics.on_cluster(OPERATIONS_CONTROLS)
        self._clock = clock

    def announce_once(self) -> bool:
        """Publish every user broker without an event; return False, because the next run comes after a wait.

        Two concurrent processes may both announce a broker; the second event is identical.
        """
        with self._open_unit() as uow:
            brokers = SwitchRepository(uow.connection).brokers()
            told = self._told(uow.connection, [user_broker_key(broker.user_broker_id) for broker in brokers])
            untold = [broker for broker in brokers if user_broker_key(broker.user_broker_id) not in told]
            if untold:
                uow.emit(*(user_broker_changed(broker, self._clock.now()) for broker in untold))
                uow.commit()
        return False

    def _told(self, connection: Connection, keys: list[str]) -> set[str]:
        return set(connection.execute(TOLD, {"topic": self._topic, "keys": keys}).scalars())
