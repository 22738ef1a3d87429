"""One question to many processes at the same time: several silent ones cost no more than one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Answer = TypeVar("Answer")


def side_by_side(ask: Callable[[str], Answer], urls: Collection[str]) -> list[Answer]:
    """Return the answer of each URL, in their order."""
    with ThreadPoolExecutor(max_workers=max(1, len(urls)), thread_name_prefix="doctor") as pool:
        return list(pool.map(ask, urls))
