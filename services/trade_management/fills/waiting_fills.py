"""Retry of fill reports waiting for a row or for rates."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaException
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from services.trade_management.fills.batch import FillBatches
from services.trade_management.storage.waiting_fills import WaitingFillRepository
from shared.back_off import BackOff
from shared.errors import ExitflowError
from shared.postgres.engine import look
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.runtime.waiting_work import CONDITION, WaitingItem, WaitingReport

log = logging.getLogger(__name__)

LOOK_S = 0.25
IDLE_S = 1.0
"""Pause between two looks while nothing waits."""
LONGEST_BACK_OFF_S = 5.0
OF = "trade-fills"


class WaitingFills:
    """Retries waiting reports, per trade and in order. Rows coordinate several copies. Not thread-safe."""

    def __init__(self, engine: Engine, batches: FillBatches, health: Health) -> None:
        self._engine = engine
        self._batches = batches
        self._health = health
        self._shown = WaitingReport(OF, health)

    def run(self, stop: Stop) -> None:
        """Retry until stopped; report failures to health and retry them later."""
        wait_s, back_off = LOOK_S, BackOff(IDLE_S, LONGEST_BACK_OFF_S)
        while not stop.wait(wait_s):
            try:
                wait_s = LOOK_S if self.retry_once(stop) else IDLE_S
                back_off.reset()
            except (SQLAlchemyError, ExitflowError, KafkaException) as error:
                wait_s = back_off.next_s()
                self._health.problem(CONDITION, f"cannot retry waiting fills: {type(error).__name__}")
                log.warning("cannot retry waiting fills, next attempt in %.1f s: %s", wait_s, type(error).__name__)

    def retry_once(self, stop: Stop) -> bool:
        """Retry every due trade, and report trades still waiting; return whether there are any.

        Raises
        ------
        SQLAlchemyError, ExitflowError, KafkaException
            The database or Kafka failed; the report still waits.
        """
        with look(self._engine) as connection:
            waiting = WaitingFillRepository(connection).summary()
            due = WaitingFillRepository(connection).due() if waiting else []
        for trade_id in due:
            while not stop.is_set() and self._batches.retry(trade_id):
                pass
        if due:
            with look(self._engine) as connection:
                waiting = WaitingFillRepository(connection).summary()
        self._shown.show([WaitingItem(f"trade {each.trade_id}", each.why, each.age_s) for each in waiting])
        return bool(waiting)
