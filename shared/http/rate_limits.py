"""How many requests each token may make: a token bucket per API token, in the memory of one process."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from shared.clock import Clock
from shared.errors import TooManyRequests

BURST_S = 10
"""A quiet token may spend the requests of so many seconds at once."""

MOST_BUCKETS = 10_000
"""Beyond it, full buckets are dropped; they say no more than no bucket."""


@dataclass(slots=True)
class _Bucket:
    left: float
    counted_at: float


class RateLimiter:
    """Requests per second and key, with bursts; safe to use from any thread.

    Parameters
    ----------
    per_s:
        Requests of each key a second in the long run; 0 sets no limit.
    clock:
        Its monotonic time counts, so a step of the wall clock locks no caller out.
    """

    def __init__(self, per_s: int, clock: Clock) -> None:
        self._per_s = per_s
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[bytes, _Bucket] = {}

    def check(self, key: bytes) -> None:
        """Reject a key without tokens left; unused keys take no memory.

        Raises
        ------
        TooManyRequests
            `retry_after_s` says when there is something left.
        """
        with self._lock:
            bucket = self._buckets.get(key)
            if bucket is not None:
                self._require(self._refilled(bucket))

    def spend(self, key: bytes) -> None:
        """Count one request of a valid key.

        Raises
        ------
        TooManyRequests
            As in `check`; the request is not counted.
        """
        if not self._per_s:
            return
        with self._lock:
            if key not in self._buckets:
                self._make_room()
            bucket = self._buckets.setdefault(key, _Bucket(self._burst, self._clock.monotonic()))
            self._require(self._refilled(bucket))
            bucket.left -= 1

    @property
    def _burst(self) -> float:
        return float(self._per_s * BURST_S)

    def _refilled(self, bucket: _Bucket) -> _Bucket:
        now = self._clock.monotonic()
        bucket.left = min(self._burst, bucket.left + (now - bucket.counted_at) * self._per_s)
        bucket.counted_at = now
        return bucket

    def _require(self, bucket: _Bucket) -> None:
        if bucket.left < 1:
            error = TooManyRequests(f"more than {self._per_s} requests a second with this token; try again later")
            error.retry_after_s = max(1, math.ceil((1 - bucket.left) / self._per_s))
            raise error

    def _make_room(self) -> None:
        if len(self._buckets) >= MOST_BUCKETS:
            self._buckets = {k: it for k, it in self._buckets.items() if self._refilled(it).left < self._burst}
