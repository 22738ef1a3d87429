"""Orchestrator of exits: has those covered by their trades executed."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from services.trade_management.execution.approved_exits import PAGE, ApprovedExit, ApprovedExits, ExitsNotExecuted
from services.trade_management.storage.trades import TradeRepository
from shared.back_off import BackOff
from shared.clock import Clock
from shared.errors import ConfigurationError
from shared.postgres.engine import look
from shared.postgres.failures import reason
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Execution, Settings
from shared.wording import plural

log = logging.getLogger(__name__)

EXECUTION = "execution"
"""Health condition: exit-api took the last request."""

LOOK_S = 1.0
"""Pause between two looks at all approved exits. A request lapses after a few of them."""
MOST_HEARD = 5_000
"""Exits heard of and not asked for yet, at most; a look finds the others."""


class ExitExecutor:
    """Asks for the execution of every approved exit covered by its trade, again while it is approved.

    An exit heard of is asked for at once. Nothing is stored: exit-api tells all approved exits, the database the open
    trades. Several copies may run, because a repeated request changes nothing. `hear` may be called from any thread,
    the rest from one.
    """

    def __init__(self, engine: Engine, exits: ApprovedExits, health: Health, clock: Clock) -> None:
        self._engine = engine
        self._exits = exits
        self._health = health
        self._clock = clock
        self._news = threading.Event()
        self._heard: deque[ApprovedExit] = deque(maxlen=MOST_HEARD)
        self._look_at_s = 0.0
        self._refused: set[UUID] = set()
        health.add(EXECUTION)

    def hear(self, exits: Sequence[ApprovedExit]) -> None:
        """Have these exits, approved a moment ago, asked for without another look."""
        if exits:
            self._heard.extend(exits)
            self._news.set()

    def run(self, stop: Stop) -> None:
        """Execute exits until stopped; report failures to health and retry."""
        stop.call(self._news.set)
        back_off = BackOff(longest_s=LOOK_S)
        while not stop.is_set():
            self._news.clear()
            try:
                self.execute_due()
                self._health.fine(EXECUTION)
                back_off.reset()
            except (SQLAlchemyError, ExitsNotExecuted) as error:
                self._look_at_s = 0.0  # it finds what was heard and is lost now
                what = str(error) if isinstance(error, ExitsNotExecuted) else f"database: {reason(error)}"
                self._health.problem(EXECUTION, what)
                log.warning("exits are not executed yet: %s", what)
                back_off.wait(stop)
                continue
            self._news.wait(max(0.0, self._look_at_s - self._clock.monotonic()))

    def execute_due(self) -> None:
        """Ask for exits heard of, and for all approved ones when a look is due.

        Raises
        ------
        ExitsNotExecuted, SQLAlchemyError
            Some were not asked for; a look asks for them.
        """
        self.execute_heard()
        if self._clock.monotonic() >= self._look_at_s:
            self.execute_once()
            self._look_at_s = self._clock.monotonic() + LOOK_S

    def execute_heard(self) -> None:
        """Ask once for covered exits heard of, at most `PAGE`; raise as `execute_due` does."""
        heard = [self._heard.popleft() for _ in range(min(PAGE, len(self._heard)))]
        if self._heard:
            self._news.set()  # for the next pass: a look may be due before
        if heard:
            self._execute(heard)

    def execute_once(self) -> None:
        """Ask once for every approved exit covered by its trade; raise as `execute_due` does."""
        refused: dict[UUID, str] = {}
        for page in self._exits.pages():
            refused |= self._execute(page)
        self._show(refused)

    def _execute(self, exits: Sequence[ApprovedExit]) -> dict[UUID, str]:
        """Ask for those covered by their trades; return why not, of each of the others."""
        with look(self._engine) as connection:
            left = TradeRepository(connection).open_quantities({each.trade_id for each in exits})
        covered = [each for each in exits if each.quantity <= left.get(each.trade_id, 0)]
        if covered:
            self._exits.execute(covered)
        return {each.intent_id: _why(each, left) for each in exits if each not in covered}

    def _show(self, refused: Mapping[UUID, str]) -> None:
        """Log each refused exit once, and note them for operators."""
        for intent_id in refused.keys() - self._refused:
            log.warning("exit not executed: %s", refused[intent_id])
        self._refused = set(refused)
        first: Sequence[str] = list(refused.values())[:1]
        self._health.note(EXECUTION, f"{plural(len(refused), 'exit')} not executed: {first[0]}" if first else None)


def _why(refused: ApprovedExit, left: Mapping[UUID, int]) -> str:
    open_quantity = left.get(refused.trade_id)
    if open_quantity is None:
        return f"trade {refused.trade_id} is not open"
    return f"trade {refused.trade_id} has {open_quantity} open, its exit is of {refused.quantity}"


def exit_executor(settings: Settings, engine: Engine, health: Health, clock: Clock) -> ExitExecutor | None:
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
    return ExitExecutor(engine, exits, health, clock)
