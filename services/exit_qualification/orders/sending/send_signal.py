"""Wake-up of senders: an approved exit wakes one at once, and a query at intervals finds exits without an event."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from shared.clock import Clock

SIGN_OF_LIFE_S = 4.0
"""Longest wait of a sender between two reports to health."""

BUSY_WAIT_S = 0.02
"""Pause between two checks while the senders are at work on something to send."""

TO_SEND = "exit_intents_to_send"
"""Channel of a trigger's notification at the commit of an approved exit."""

Pause = Callable[[float], bool]
"""Waits so many seconds, or less if an exit was approved meanwhile; returns whether one was."""


class SendSignal:
    """Wakes one sender while there is something to send; a sender with work wakes the next.

    Parameters
    ----------
    next_due_s:
        Returns the result of `OrderQueues.next_due_s`.
    pause:
        The wait between two checks.
    poll_s:
        Longest time between two queries.
    """

    def __init__(self, next_due_s: Callable[[], float | None], pause: Pause, poll_s: float, clock: Clock) -> None:
        self._next_due_s = next_due_s
        self._pause = pause
        self._poll_s = poll_s
        self._clock = clock
        self._ask_at = 0.0
        self._check_at = math.inf
        self._is_more = False
        self._is_stuck = False
        self._changed = threading.Condition()
        self._rung = False
        self._is_ending = False

    def look(self) -> bool:
        """Wake a sender once an exit is approved, or is found by the due query; return True.

        A notification is answered without a query. It cannot tell the time for sending an exit. This is
        asked a moment later if the senders have left exits and can send none of them.
        """
        now = self._clock.monotonic()
        if now >= self._ask_at or (now >= self._check_at and self._is_stuck):
            self._ask()
        elif now >= self._check_at:
            self._check_at = now + BUSY_WAIT_S if self._is_more else math.inf
        ask_at, self._ask_at = self._ask_at, 0.0  # a failed wait may have missed a notification
        is_notified = self._pause(max(0.0, min(ask_at, self._check_at) - self._clock.monotonic()))
        self._ask_at = ask_at
        if is_notified:
            self._wake()
        return True

    def claimed(self, is_any: bool, is_more: bool) -> None:
        """Note whether a sender has claimed any exits, and whether approved ones are left."""
        self._is_more, self._is_stuck = is_more, is_more and not is_any

    def _ask(self) -> None:
        due_s = self._next_due_s()
        self._check_at = math.inf
        if due_s is not None and due_s <= 0:
            self._wake()
            due_s = None
        wait_s = self._poll_s if due_s is None else min(self._poll_s, max(due_s, BUSY_WAIT_S))
        self._ask_at = self._clock.monotonic() + wait_s

    def _wake(self) -> None:
        """Wake a sender, and check the exits it has left in a moment."""
        self.claimed(is_any=False, is_more=True)  # until it says so
        self._check_at = min(self._check_at, self._clock.monotonic() + BUSY_WAIT_S)
        self.ring()

    def ring(self) -> None:
        """Wake one sender, or let the next waiting one go on at once."""
        with self._changed:
            self._rung = True
            self._changed.notify()

    def end(self) -> None:
        """End the wait of every sender."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()

    def answering(self, execute_next: Callable[[], bool]) -> Callable[[], bool]:
        """Return a sender's step: wait for the signal, then send."""

        def step() -> bool:
            with self._changed:
                self._changed.wait_for(lambda: self._rung or self._is_ending, SIGN_OF_LIFE_S)
                if not self._rung or self._is_ending:
                    return True
                self._rung = False
            execute_next()
            return True

        return step
