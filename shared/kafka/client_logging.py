"""Rate-limited logging of Kafka's client library: during an outage it writes several lines a second."""

from __future__ import annotations

import logging
import re
import threading

from confluent_kafka import KafkaError

from shared.clock import Clock, SystemClock

log = logging.getLogger(__name__)

_NUMBERS = re.compile(r"\d+")

QUIET_S = 10
"""One of a kind is said in so long."""


class Ration:
    """Lets one of a kind through now and then, and counts the others."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._quiet_until: dict[str, float] = {}
        self._withheld: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, kind: str, *, urgent: bool = False) -> int | None:
        """Return the number of lines withheld before this one, or None to withhold it; urgent lines always pass."""
        now = self._clock.monotonic()
        with self._lock:
            if not urgent and now < self._quiet_until.get(kind, now):
                self._withheld[kind] = self._withheld.get(kind, 0) + 1
                return None
            self._quiet_until[kind] = now + QUIET_S
            return self._withheld.pop(kind, 0)


class Complaints:
    """Rate-limited log of a client's errors; fatal ones are always logged."""

    def __init__(self, clock: Clock) -> None:
        self._ration = Ration(clock)

    def hear(self, error: KafkaError) -> None:
        """Log it, or count it."""
        withheld = self._ration.take("error", urgent=error.fatal())
        if withheld is not None:
            log.warning("Kafka: %s%s", error.str(), f" ({withheld} more errors before)" if withheld else "")


class Rationed(logging.Filter):
    """Limit the log lines of confluent_kafka; their arguments are a kind, a client's name and a text."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._ration = Ration(clock)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if the line may be written; then append the number of withheld lines."""
        kind, _, what = record.args if isinstance(record.args, tuple) and len(record.args) == 3 else ("", "", "")
        # At every start it warns of its experimental guarantee of no gaps.
        if kind == "CONFWARN" and "experimental" in str(what):
            return False
        # A failure may have any reason: only the same reason is the same kind.
        same = f"{kind} {_NUMBERS.sub('', str(what))}" if kind == "ERROR" else str(kind)
        withheld = self._ration.take(same, urgent=record.levelno >= logging.CRITICAL)
        if withheld:
            record.msg, record.args = f"{record.getMessage()} ({withheld} more {kind} lines before)", ()
        return withheld is not None


CLIENT_LOG = logging.getLogger("librdkafka")
"""Where the clients of this process log."""
CLIENT_LOG.addFilter(Rationed(SystemClock()))
