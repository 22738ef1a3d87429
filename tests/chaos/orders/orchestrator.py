"""Trade management that has exits executed, while its processes die and the setting changes."""

from __future__ import annotations

import random
from contextlib import suppress

from services.trade_management.execution.approved_exits import ExitsNotExecuted
from shared.settings import Execution
from tests.integration.exit_qualification.trade_management import TradeManagement


class Orchestrator:
    """Asks for exits in most steps; its faults come from dice of its own, so a seed's other faults stay the same."""

    def __init__(self, trades: TradeManagement, dice: random.Random) -> None:
        self._trades = trades
        self._dice = dice

    def step(self, *, is_disturbed: bool) -> None:
        """Ask for every approved exit, unless a process of the way is down."""
        trades, dice = self._trades, self._dice
        trades.execution = Execution.TRADE_MANAGEMENT
        trades.way.is_down = is_disturbed and dice.random() < 0.1
        trades.way.dies_before_answering = is_disturbed and dice.random() < 0.1
        if is_disturbed and dice.random() < 0.2:  # trade-fills is down
            return
        with suppress(ExitsNotExecuted):  # the next step asks again
            trades.execute()
        if is_disturbed and dice.random() < 0.1:
            trades.restart_exit_orders()
        if is_disturbed and dice.random() < 0.1:
            trades.execution = Execution.EXIT_QUALIFICATION
