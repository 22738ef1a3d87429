"""Pure random functions: equal seeds and places give equal numbers, in any call order."""

from __future__ import annotations

import hashlib

_RANGE = 2**64


def uniform(seed: int, *place: str | int) -> float:
    """Return a number in [0, 1)."""
    digest = hashlib.blake2b("/".join(map(str, (seed, *place))).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / _RANGE


def between(seed: int, low: float, high: float, *place: str | int) -> float:
    """Return a number in [`low`, `high`)."""
    return low + (high - low) * uniform(seed, *place)


def bell(seed: int, *place: str | int) -> float:
    """Return an approximately standard normal number: the sum of twelve uniform ones, minus six."""
    return sum(uniform(seed, *place, n) for n in range(12)) - 6
