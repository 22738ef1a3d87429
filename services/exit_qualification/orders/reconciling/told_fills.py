"""Fills in events: those of the trade, without shares filled beyond it."""

from __future__ import annotations

from collections.abc import Sequence

from shared.contracts.exits import Fill


def told(fills: Sequence[Fill], most: int) -> list[Fill]:
    """Return the first `most` shares of the fills, in their order; the last fill may be cut."""
    parts, left = [], most
    for fill in fills:
        if left > 0:
            parts.append(fill if fill.quantity <= left else fill.model_copy(update={"quantity": left}))
        left -= fill.quantity
    return parts
