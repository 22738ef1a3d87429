"""The wait for news: look again soon while events flow, and rest until a commit is notified once none came."""

from __future__ import annotations

from collections.abc import Callable

from services.outbox_relay.reading.adaptive_wait import AdaptivePoll
from services.outbox_relay.reading.commit_signal import CommitSignal
from shared.runtime.stopping import Stop

REST_AFTER_S = 0.02
"""A relay rests once nothing came for so long. To rest and to wake costs as much as a few looks, and while nothing came
for a moment there are dozens of them."""

BUSY_LOOKS = 3
"""Looks with results, one right after the other; after so many, writers need not notify: more follow anyway."""

LONGEST_REST_S = 2.0
LOOKS_PER_LEASE = 5
"""A resting relay looks after its leases, and for commits, so often within a lease, and at least every two seconds."""


class NewsWait:
    """Decides how to wait after each look. It rests only while nothing is under way.

    Single commits wake it and writers go on notifying, so it rests again right after them.

    While another relay of the outbox rests, or a writer is at work, this one may be unable to: it then polls.

    Parameters
    ----------
    is_arming_due:
        Called before an attempt to rest, as it costs a statement; returns whether to make one.

    Attributes
    ----------
    is_resting:
        Whether to wait for a commit before the next look.
    is_notified:
        Whether a commit was notified since the last look.
    """

    def __init__(
        self, poll: AdaptivePoll, signal: CommitSignal, lease_s: float, is_arming_due: Callable[[], bool]
    ) -> None:
        self._poll = poll
        self._signal = signal
        self._rest_s = min(LONGEST_REST_S, lease_s / LOOKS_PER_LEASE)
        self._is_arming_due = is_arming_due
        self._finds = 0
        self._is_told = False
        self.is_resting = self.is_notified = False

    def is_nothing_new(self) -> bool:
        """Return whether a look would be in vain: commits since the last one are notified, and none was.

        Raises
        ------
        psycopg.Error
            The connection is lost.
        """
        if self._is_told and self._signal.has_come():
            self._is_told, self.is_notified = False, True
        return self._is_told

    def looked(self) -> None:
        """Note a look: from here on commits are notified, if writers were notifying before it."""
        self._is_told, self.is_notified = self._signal.is_armed, False

    def must_look(self) -> None:
        """Look next time, whatever is notified: there may be other shards to read."""
        self._is_told = False

    @property
    def is_in_vain(self) -> bool:
        """Return whether the last look found nothing."""
        return self._finds == 0

    @property
    def wait_s(self) -> float:
        """Return the seconds until the next look, without a notification."""
        return self._poll.wait_s

    def found(self) -> None:
        """Look again soon after a look with results; after several in a row, poll without notifications."""
        self._wake()
        self._finds += 1
        if self._finds >= BUSY_LOOKS:
            self._signal.disarm()
            self._is_told = False

    def found_nothing(self, *, is_all_done: bool) -> None:
        """Wait longer after a look without results; rest after the first one since writers notify."""
        self._finds = 0
        self._poll.found_nothing()
        self.is_resting = is_all_done and self._signal.is_armed
        if is_all_done and not self.is_resting and self._poll.pause_s >= REST_AFTER_S and self._is_arming_due():
            self._signal.arm()

    def rest(self, stop: Stop) -> bool:
        """Wait for a commit, for the time of the next look, or until `stop` is set; return whether one came."""
        is_woken = self.is_notified = self._signal.wait(self._rest_s, stop)
        self._is_told = False
        if is_woken:
            self._wake()
        return is_woken

    def _wake(self) -> None:
        self._poll.found()
        self.is_resting = False
