"""TickWorker: joins the group, works, and joins again when its membership came to nothing."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import closing

from confluent_kafka import KafkaException
from sqlalchemy import Engine

from services.exit_qualification.ticks.assignment import Assignment
from services.exit_qualification.ticks.back_off import BackOff
from services.exit_qualification.ticks.kafka_log import layout_of
from services.exit_qualification.ticks.lag import CONDITION as KAFKA
from services.exit_qualification.ticks.lag import LagReport
from services.exit_qualification.ticks.session import TICKS, Surroundings, TickSession
from shared.contracts.topics import TopicNames
from shared.errors import Fenced, Unavailable
from shared.kafka import open_admin, open_consumer
from shared.process import Stop

log = logging.getLogger(__name__)

GROUP = "exit-ticks"
CONDITIONS = (TICKS, KAFKA)


class TickWorker:
    """A worker of the group ``exit-ticks``; any number of them share the partitions."""

    def __init__(self, around: Surroundings, database: Engine) -> None:
        self._around = around
        self._database = database
        self._back_off = BackOff()

    def run(self, stop: Stop) -> None:
        """Work until told to stop.

        Raises
        ------
        ConfigurationError
            The topics are missing or do not fit together, or the log is not the one the offsets belong to.
        """
        while not stop.is_set():
            try:
                self._join(stop)
            except (Fenced, Unavailable, KafkaException) as error:
                log.warning("left the group: %s", error)
                self._around.health.problem(KAFKA, str(error))
                self._around.health.alive(TICKS)
                self._back_off.wait(stop)

    def _join(self, stop: Stop) -> None:
        settings = self._around.settings
        admin = open_admin(settings)
        layout = layout_of(admin, TopicNames(settings.kafka_topic_prefix))
        consumer = open_consumer(settings, GROUP, partition_assignment_strategy="range", auto_offset_reset="error")
        with closing(consumer):
            assignment = Assignment(consumer, admin, layout, self._database, _owner())
            lag = LagReport(consumer, layout, self._around.clock, self._around.health)
            TickSession(self._around, consumer, layout, assignment, lag, self._back_off).run(stop)


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
