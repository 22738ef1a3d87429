"""Orchestrator of exits: has those executed that are covered by their trades."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from services.trade_management.execution.approved_exits import ApprovedExit, ApprovedExits, ExitsNotExecuted
from services.trade_management.storage.trades import TradeRepository
from shared.back_off import BackOff
from shared.errors import ConfigurationError
from shared.postgres.engine import look
from shared.postgres.failures import reason
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Execution, Settings

log = logging.getLogger(__name__)

EXECUTION = "execution"
"""Health condition: exit-api took the last request."""

LOOK_S = 1.0
"""Longest pause between two passes; news of an approved exit ends it. A request lapses after a few of them."""
LEAST_PAUSE_S = 0.02
"""Pause between two passes however much news comes."""


class ExitExecutor:
    """Asks for the execution of every approved exit that its trade covers, again while it is approved.

    Nothing is stored: exit-api tells the approved exits, the database the open trades. Several copies may run, because
    a repeated request changes nothing. `look_now` may be called from any thread, the rest from one.
    """

    def __init__(self, engine: Engine, exits: ApprovedExits, health: Health) -> None:
        self._engine = engine
        self._exits = exits
        self._health = health
        self._news = threading.Event()
        self._refused: set[UUID] = set()
        health.add(EXECUTION)

    def look_now(self) -> None:
        """End the pause between two passes: an exit was approved."""
        self._news.set()

    def run(self, stop: Stop) -> None:
        """Execute exits until stopped; report failures to health and retry."""
        stop.call(self.look_now)
        back_off = BackOff(longest_s=LOOK_S)
        while not stop.wait(LEAST_PAUSE_S):
            self._news.clear()
            pause_s = LOOK_S
            try:
                self.execute_once()
                self._health.fine(EXECUTION)
                back_off.reset()
            except (SQLAlchemyError, ExitsNotExecuted) as error:
                pause_s = back_off.next_s()
                what = str(error) if isinstance(error, ExitsNotExecuted) else f"database: {reason(error)}"
                self._health.problem(EXECUTION, what)
                log.warning("exits are not executed, next attempt in %.1f s: %s", pause_s, what)
            if not stop.is_set():
                self._news.wait(pause_s)

    def execute_once(self) -> None:
        """Ask once for every approved exit that its trade covers.

        Raises
        ------
        ExitsNotExecuted, SQLAlchemyError
            Some were not asked for; the next pass asks.
        """
        refused: dict[UUID, str] = {}
        for page in self._exits.pages():
            with look(self._engine) as connection:
                left = TradeRepository(connection).open_quantities({each.trade_id for each in page})
            covered = [each for each in page if each.quantity <= left.get(each.trade_id, 0)]
            if covered:
                self._exits.execute(covered)
            refused |= {each.intent_id: _why(each, left) for each in page if each not in covered}
        self._show(refused)

    def _show(self, refused: Mapping[UUID, str]) -> None:
        """Log each refused exit once, and note them for operators."""
        for intent_id in refused.keys() - self._refused:
            log.warning("exit not executed: %s", refused[intent_id])
        self._refused = set(refused)
        first: Sequence[str] = list(refused.values())[:1]
        self._health.note(EXECUTION, f"{len(refused)} exits are not executed: {first[0]}" if first else None)


def _why(refused: ApprovedExit, left: Mapping[UUID, int]) -> str:
    open_quantity = left.get(refused.trade_id)
    if open_quantity is None:
        return f"trade {refused.trade_id} is not open"
    return f"trade {refused.trade_id} has {open_quantity} open, its exit is of {refused.quantity}"


def exit_executor(settings: Settings, engine: Engine, health: Health) -> ExitExecutor | None:
    """Return the executor of the settings, not started; None where exit qualification executes exits.

    Raises
    ------
    ConfigurationError
        There is no token for exit-api.
    """
    if settings.execution is not Execution.TRADE_MANAGEMENT:
        return None
    if settings.execution_token is None:
        raise ConfigurationError(
            "EXITFLOW_EXECUTION_TOKEN is not set; make one with "
            "`exitflow tokens create trade-fills --scope read --scope execute`"
        )
    exits = ApprovedExits(settings.exit_api_url, settings.execution_token.get_secret_value())
    return ExitExecutor(engine, exits, health)
