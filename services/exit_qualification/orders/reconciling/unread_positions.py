"""Accounts with unread positions: the process is not ready while a broker with open trades does not answer."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from shared.runtime.health import Health

CONDITION = "brokers"


class UnreadPositions:
    """Why the positions of accounts could not be read at their last look. Not thread-safe."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._why: dict[str, str] = {}
        # Without open trades no broker is asked. The loop of the looks has a deadline itself.
        health.add(CONDITION, math.inf)
        self._report()

    def looked_at(self, accounts: Collection[str], why: Mapping[str, str]) -> None:
        """Replace what is known of these accounts."""
        self._why = {name: told for name, told in self._why.items() if name not in accounts} | dict(why)
        self._report()

    def keep(self, accounts: Collection[str]) -> None:
        """Forget all other accounts: they have no open trades any more."""
        self._why = {name: told for name, told in self._why.items() if name in accounts}
        self._report()

    def _report(self) -> None:
        if self._why:
            told = "; ".join(f"{name}: {why}" for name, why in sorted(self._why.items()))
            self._health.problem(CONDITION, f"positions cannot be read: {told}")
        else:
            self._health.fine(CONDITION)
