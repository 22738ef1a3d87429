"""BookDay: for how long the books of a broker show an order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo


@dataclass(frozen=True, slots=True)
class BookDay:
    """The trading day of a broker's books.

    Attributes
    ----------
    begins:
        Latest time of day for the end of the former day's books; zero is midnight.
    zone:
        The zone of this time.
    """

    begins: timedelta
    zone: tzinfo

    def ends_after(self, instant: datetime) -> datetime:
        """Return when the day of an instant ends."""
        began = (instant.astimezone(self.zone) - self.begins).date()
        return datetime.combine(began + timedelta(days=1), time(), self.zone) + self.begins

    def same_books(self, sent_at: datetime, read_at: datetime) -> bool:
        """Return whether books read at one instant must show an order sent at another.

        They are emptied at some time between midnight and `begins`; across either boundary nothing can be proven.
        """
        sent, read = sent_at.astimezone(self.zone), read_at.astimezone(self.zone)
        across_midnight = sent.date() != read.date()
        across_morning = (sent - self.begins).date() != (read - self.begins).date()
        return not across_midnight and not across_morning
