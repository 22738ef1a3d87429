"""Signs of a standstill: processes, waiting exits, outboxes, missing protective stops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.console.api_client import Json
from services.console.readiness import Readiness
from services.console.wording import duration, instant, words
from shared.wording import plural

LONG_S = 60.0
"""An exit that waits longer than this, or an event to be sent, is a sign."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One sentence with the page for more."""

    tone: str
    sentence: str
    url: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What the processes and APIs told; None without an answer.

    Attributes
    ----------
    pending:
        Page of pending exits with the oldest one, and their counts.
    outboxes:
        State of each outbox by its title.
    missing:
        Page of trades without their protective stop.
    """

    processes: Sequence[Readiness]
    pending: Json | None
    outboxes: Mapping[str, Json | None]
    missing: Json | None

    @property
    def is_whole(self) -> bool:
        """Return whether everything answered."""
        return None not in (self.pending, self.missing, *self.outboxes.values())

    def signs(self, now: datetime) -> list[Sign]:
        """Return the signs at this time, the processes first."""
        return [*self._of_processes(), *self._of_exits(now), *self._of_outboxes(), *self._of_stops()]

    def _of_processes(self) -> Iterator[Sign]:
        for process in self.processes:
            if process.state != "ready":
                why = f": {'; '.join(process.reasons)}" if process.reasons else ""
                yield Sign(process.tone, f"{process.name} is {_STATES[process.state]}{why}.", "/system#processes-title")

    def _of_exits(self, now: datetime) -> Iterator[Sign]:
        oldest = next(iter((self.pending or {}).get("items", ())), None)
        if self.pending is None or oldest is None:
            return
        age_s = (now - instant(oldest["created_at"])).total_seconds()
        if age_s > LONG_S:
            number = _number_of_exits(self.pending["counts"])
            age, symbol = duration(age_s), oldest["symbol"]
            sentence = f"{number} pending, the oldest ({symbol}) for {age}: {_obstacle(oldest)}."
            yield Sign("warn", sentence, f"/exits?older_than_s={LONG_S:.0f}")

    def _of_outboxes(self) -> Iterator[Sign]:
        for title, outbox in self.outboxes.items():
            totals = {} if outbox is None else outbox["totals"]
            if (totals.get("oldest_age_s") or 0) > LONG_S:
                waiting, age = plural(totals["backlog"], "event"), duration(totals["oldest_age_s"])
                yield Sign("bad", f"{title}: {waiting} to be sent, the oldest for {age}.", "/outbox")
            if totals.get("parked"):
                yield Sign("bad", f"{title}: {plural(totals['parked'], 'event')} parked.", "/outbox")

    def _of_stops(self) -> Iterator[Sign]:
        missing = self.missing or {"items": (), "next": None}
        count = len(missing["items"])
        if count:
            trades = f"More than {plural(count, 'trade')}" if missing["next"] else plural(count, "trade")
            yield Sign("bad", f"{trades} without the protective stop of the plan.", "/exits/stops")


_STATES = {"not ready": "not ready", "no answer": "without an answer"}


def _number_of_exits(counts: Json) -> str:
    number = plural(counts["total"], "exit")
    return number if counts["is_whole"] else f"More than {number}"


def _obstacle(exit_: Json) -> str:
    """Return the obstacle of a waiting exit."""
    held = [words(gate["gate"]).lower() for gate in exit_["gates"] if gate["verdict"] != "PASS"]
    error = [words(exit_["error_code"]).lower()] if exit_["error_code"] else []
    return ", ".join(held + error) or words(exit_["status"]).lower()
