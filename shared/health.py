"""What a process says of itself: alive, ready, and if not, why."""

from __future__ import annotations

import threading


class Health:
    """Named conditions, each fine or with a problem; safe to use from any thread.

    A process is alive while it answers. It is ready when every condition it declared is fine; a condition
    starts with the problem "starting".
    """

    def __init__(self, *conditions: str) -> None:
        self._lock = threading.Lock()
        self._problems: dict[str, str | None] = dict.fromkeys(conditions, "starting")

    def fine(self, condition: str) -> None:
        """The condition holds."""
        with self._lock:
            self._problems[condition] = None

    def problem(self, condition: str, what: str) -> None:
        """The condition does not hold; `what` is shown to operators and must hold no secret."""
        with self._lock:
            self._problems[condition] = what

    def problems(self) -> dict[str, str]:
        """Every condition that does not hold, and why."""
        with self._lock:
            return {name: what for name, what in self._problems.items() if what is not None}

    def is_ready(self) -> bool:
        """True if every condition holds."""
        return not self.problems()
