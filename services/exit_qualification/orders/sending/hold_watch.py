"""Watch over exits held while a corporate action changes their trades."""

from __future__ import annotations

from collections.abc import Callable

from services.exit_qualification.storage.trade_holds import TradeHoldRepository
from services.exit_qualification.storage.waiting_errors import WaitingErrorRepository
from shared.outbox.unit_of_work import UnitOfWork
from shared.runtime.health import Health
from shared.wording import plural

CONDITION = "corporate-actions"
"""Health condition: no exit waits for the change of its trade beyond the time of its hold."""


class HoldWatch:
    """Lets held exits show what they wait for, and health tell those held for too long. Not thread-safe.

    Parameters
    ----------
    anything_unsent:
        Returns whether there is an unsent exit; without any, none is held.
    """

    def __init__(
        self,
        open_unit: Callable[[], UnitOfWork],
        health: Health,
        anything_unsent: Callable[[], bool] = lambda: True,
    ) -> None:
        self._open_unit = open_unit
        self._health = health
        self._anything_unsent = anything_unsent
        self._may_be_noted = True

    def look_once(self) -> bool:
        """Note the held exits, on them and to health; return False."""
        is_unsent = self._anything_unsent()
        with self._open_unit() as uow:
            held = TradeHoldRepository(uow.connection).waiting() if is_unsent else []
            if held or self._may_be_noted:
                WaitingErrorRepository(uow.connection).note_changing()
                uow.commit()
        self._may_be_noted = bool(held)
        late = [each for each in held if each.is_late]
        if late:
            exits, first = plural(sum(each.exits for each in late), "exit"), late[0].trade_id
            told = f"waiting for TradeAdjusted: {exits}, the first of trade {first}; see exit-ticks and relay"
            self._health.problem(CONDITION, told)
        else:
            self._health.fine(CONDITION)
        return False
