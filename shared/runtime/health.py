"""Health of a process: named conditions with deadlines for their next report."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from shared.clock import Clock, SystemClock

DEADLINE_S = 12.0
"""Default deadline of a condition; with one more look of a monitor it stays within 15 s."""

STARTING = "starting"


@dataclass(slots=True)
class _Condition:
    deadline_s: float
    reported_at: float
    due_at: float
    problem: str | None = STARTING


class Health:
    """Health conditions of a process; safe to use from any thread.

    A process is ready while every condition is fine. Each report is a heartbeat: a condition not reported within its
    deadline counts as a problem. A hung loop or an unresponsive dependency therefore makes the process unready by
    itself. A condition starts with the problem "starting".

    Each loop needs a separate condition; two loops sharing one would hide a hang of either.

    Parameters
    ----------
    conditions:
        Names of conditions with the default deadline.
    deadline_s:
        The default deadline.
    clock:
        Its monotonic time decides.
    """

    def __init__(self, *conditions: str, deadline_s: float = DEADLINE_S, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._conditions: dict[str, _Condition] = {}
        self._notes: dict[str, str] = {}
        for condition in conditions:
            self.add(condition)

    def add(self, condition: str, deadline_s: float | None = None) -> None:
        """Declare a condition, with a deadline other than the default if given."""
        with self._lock:
            self._conditions[condition] = self._new(self._deadline_s if deadline_s is None else deadline_s)

    def remove(self, condition: str) -> None:
        """Remove a condition, e.g. after its loop ended normally."""
        with self._lock:
            self._conditions.pop(condition, None)
            self._notes.pop(condition, None)

    def fine(self, condition: str) -> None:
        """Report a condition as met; report again within its deadline."""
        with self._lock:
            self._report(condition).problem = None

    def problem(self, condition: str, what: str) -> None:
        """Report a condition as failed; operators see `what`, so it must contain no secret."""
        with self._lock:
            self._report(condition).problem = what

    def note(self, condition: str, what: str | None) -> None:
        """Set a note for operators although the condition holds, or take it back with None."""
        with self._lock:
            if what is None:
                self._notes.pop(condition, None)
            else:
                self._notes[condition] = what

    def notes(self) -> dict[str, str]:
        """Return the notes, by condition."""
        with self._lock:
            return dict(self._notes)

    def alive(self, condition: str, within_s: float | None = None) -> None:
        """Renew the deadline without changing the verdict.

        Call this within a long step. `within_s` replaces the deadline until the next report.
        """
        with self._lock:
            state = self._report(condition)
            if within_s is not None:
                state.due_at = state.reported_at + within_s

    def problems(self) -> dict[str, str]:
        """Return every failed condition, with the reason."""
        with self._lock:
            now = self._clock.monotonic()
            found = {name: _problem_of(state, now) for name, state in self._conditions.items()}
        return {name: what for name, what in found.items() if what is not None}

    def is_ready(self) -> bool:
        """Return true if every condition holds."""
        return not self.problems()

    def _report(self, condition: str) -> _Condition:
        state = self._conditions.get(condition)
        if state is None:
            state = self._conditions[condition] = self._new(self._deadline_s)
        state.reported_at = self._clock.monotonic()
        state.due_at = state.reported_at + state.deadline_s
        return state

    def _new(self, deadline_s: float) -> _Condition:
        now = self._clock.monotonic()
        return _Condition(deadline_s, reported_at=now, due_at=now + deadline_s)


class PartOfHealth(Health):
    """Conditions of one part of a process, reported to the whole under the part's name.

    `kafka` becomes `<part>_kafka`; a consuming part thus has a topic condition like any other consumer.
    """

    def __init__(self, whole: Health, part: str) -> None:
        super().__init__()
        self._whole = whole
        self._part = part

    def add(self, condition: str, deadline_s: float | None = None) -> None:
        """Declare a condition of the part."""
        self._whole.add(self._named(condition), deadline_s)

    def remove(self, condition: str) -> None:
        """Forget a condition of the part."""
        self._whole.remove(self._named(condition))

    def fine(self, condition: str) -> None:
        """Report a condition of the part as met."""
        self._whole.fine(self._named(condition))

    def problem(self, condition: str, what: str) -> None:
        """Report a condition of the part as failed."""
        self._whole.problem(self._named(condition), what)

    def note(self, condition: str, what: str | None) -> None:
        """Set or take back a note on a condition of the part."""
        self._whole.note(self._named(condition), what)

    def notes(self) -> dict[str, str]:
        """Return the notes of the whole process."""
        return self._whole.notes()

    def alive(self, condition: str, within_s: float | None = None) -> None:
        """Renew the deadline of a condition of the part."""
        self._whole.alive(self._named(condition), within_s)

    def problems(self) -> dict[str, str]:
        """Return all problems of the whole process."""
        return self._whole.problems()

    def _named(self, condition: str) -> str:
        return condition if condition == self._part else f"{self._part}_{condition}"


def _problem_of(state: _Condition, now: float) -> str | None:
    if now <= state.due_at:
        return state.problem
    stalled = f"no progress for {now - state.reported_at:.0f} s"
    return stalled if state.problem is None else f"{state.problem}; {stalled}"
