"""How far a shard is published, as the database keeps it."""

from __future__ import annotations

from typing import NamedTuple


class Progress(NamedTuple):
    """A place in a shard's stream of windows.

    Attributes
    ----------
    snap:
        Everything visible to this snapshot comes before.
    next_snap:
        The end of the window around the place; None between windows.
    position:
        The last id before the place, among the rows that `next_snap` sees and `snap` does not.
    """

    snap: str
    next_snap: str | None = None
    position: int = 0

    @property
    def is_between_windows(self) -> bool:
        """Return True where the next window may begin."""
        return self.next_snap is None

    def up_to(self, last_id: int) -> Progress:
        """Return the place right after a row of the same window."""
        return self._replace(position=last_id)

    def into_window(self, next_snap: str) -> Progress:
        """Return progress at the start of the window ending at `next_snap`, or unchanged within a window."""
        return self._replace(next_snap=next_snap) if self.next_snap is None else self

    def past_window(self) -> Progress:
        """Return the place after the last row of the window."""
        assert self.next_snap is not None, "between windows there is none to leave"
        return Progress(self.next_snap)
