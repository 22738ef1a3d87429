"""Randomness that is a function: the same seed and place give the same number, in any order of asking."""

from __future__ import annotations

import hashlib

_RANGE = 2**64


def uniform(seed: int, *place: str | int) -> float:
    """A number in [0, 1)."""
    digest = hashlib.blake2b("/".join(map(str, (seed, *place))).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / _RANGE


def between(seed: int, low: float, high: float, *place: str | int) -> float:
    """A number in [`low`, `high`)."""
    return low + (high - low) * uniform(seed, *place)


def bell(seed: int, *place: str | int) -> float:
    """A number near a standard normal: the sum of twelve uniform ones, less six."""
    return sum(uniform(seed, *place, n) for n in range(12)) - 6
