"""Work waiting for a row lock: reported by metrics, by health and once in the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from shared.runtime.health import Health
from shared.runtime.telemetry import counter, gauge

log = logging.getLogger(__name__)

CONDITION = "waiting"
"""The condition of health, failed while an item waits for too long."""

UNREADY_AFTER_S = 12.0
"""With the pause between two looks and the next question of a monitor it stays within 15 s."""
MOST_LOGGED = 20
"""Most lines of one look; a lock on a whole table must not flood the log."""

WAITING = gauge("waiting_work", "items waiting for a locked row", "of")
OLDEST_SECONDS = gauge("waiting_work_oldest_seconds", "since the oldest of these items began to wait; 0: none", "of")
SET_ASIDE = counter("waiting_work_set_aside", "times an item began to wait for its row", "of")


@dataclass(frozen=True, slots=True)
class WaitingItem:
    """An item, such as ``trade 0192…``, why it waits, and for how long."""

    name: str
    why: str
    age_s: float


class WaitingReport:
    """Waiting items of one kind of work. Not thread-safe."""

    def __init__(self, of: str, health: Health) -> None:
        self._of = of
        self._health = health
        self._known: dict[str, float] = {}
        health.fine(CONDITION)

    def show(self, items: Sequence[WaitingItem]) -> None:
        """Report everything waiting now; log an item when it begins and ends waiting."""
        WAITING.labels(self._of).set(len(items))
        OLDEST_SECONDS.labels(self._of).set(max((item.age_s for item in items), default=0.0))
        self._log(items)
        self._judge(items)

    def _log(self, items: Sequence[WaitingItem]) -> None:
        new = [item for item in items if item.name not in self._known]
        now = {item.name: item.age_s for item in items}
        gone = [(name, age_s) for name, age_s in self._known.items() if name not in now]
        self._known = now
        SET_ASIDE.labels(self._of).inc(len(new))
        for item in new[:MOST_LOGGED]:
            log.warning("%s waits: %s; the others go on", item.name, item.why)
        for name, age_s in gone[:MOST_LOGGED]:
            log.info("%s goes on after about %.0f s", name, age_s)
        for what, count in (("wait", len(new)), ("go on", len(gone))):
            if count > MOST_LOGGED:
                log.warning("%d more %s", count - MOST_LOGGED, what)

    def _judge(self, items: Sequence[WaitingItem]) -> None:
        late = sorted((item for item in items if item.age_s >= UNREADY_AFTER_S), key=lambda item: -item.age_s)
        if not late:
            self._health.fine(CONDITION)
            return
        others = f", {len(late) - 1} more" if len(late) > 1 else ""
        self._health.problem(CONDITION, f"{late[0].name} waits for {late[0].age_s:.0f} s: {late[0].why}{others}")
