"""Memory of the machine, used once before anything is measured."""

from __future__ import annotations

import mmap
from collections.abc import Callable

import psutil

SHARE = 0.4
"""Of the available memory: more than a bench takes."""


def use_memory_once(say: Callable[[str], None]) -> None:
    """Write to each page of a part of the memory, and free it (decision 168).

    The host of a virtual machine may give a page at its first use only: it takes several times as long as a later one.
    PostgreSQL's CPU for the same writes was up to twice as much, depending on what the machine had run before.
    """
    size = int(psutil.virtual_memory().available * SHARE)
    say(f"using {size / 2**30:.0f} GiB of memory once, so that its first use is not measured")
    with mmap.mmap(-1, size) as memory:
        for page in range(0, size, mmap.PAGESIZE):
            memory[page] = 1
