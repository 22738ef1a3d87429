"""Confirmation by bricks: a condition counts only once enough bricks formed in the direction of its crossing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Self

from shared.exit_rules.bricks import Bricks
from shared.exit_rules.levels import ALWAYS, Level, Side, above, below
from shared.exit_rules.rule import Distance, RuleState, Saved


@dataclass(frozen=True, slots=True)
class Confirmed(RuleState):
    """A state wrapped to need confirmation by bricks.

    Attributes
    ----------
    toward:
        +1 if bricks toward profit confirm, as for a target; -1 for a stop.
    needed:
        Consecutive bricks, counted from the first tick with a true condition, including that tick. LONG
        1000, target 1010, size 4, one brick: 1010 waits, 1012 exits.
    waiting:
        Whether the condition was true at the last price.
    """

    inner: RuleState
    bricks: Bricks
    toward: int
    needed: int
    waiting: bool = False
    count: int = 0

    @property
    def fire(self) -> Level | None:
        """Return a level for every price once confirmed; a broken condition resets the count first."""
        return ALWAYS if self.waiting and self.count >= self.needed else None

    @property
    def condition(self) -> Level | None:
        """Return the inner state's level."""
        return self.inner.fire

    @property
    def moves(self) -> tuple[Level, ...]:
        """Return the next brick levels and the level at which the condition begins or ends."""
        crossing = self.inner.fire
        if crossing is None or (self.trails is not None and not self.waiting):
            return self.bricks.next_levels + self.inner.moves
        if self.waiting:
            crossing = above(crossing.price + 1) if crossing.side is Side.AT_OR_BELOW else below(crossing.price - 1)
        return (*self.bricks.next_levels, *self.inner.moves, crossing)

    @property
    def trails(self) -> Distance | None:
        """Return the inner state's distance; while the condition is true the watermark cannot move."""
        return None if self.waiting else self.inner.trails

    @property
    def watermark(self) -> int:
        """Return the inner state's watermark."""
        return self.inner.watermark

    def moved(self, price: int, *, opening: bool) -> Self:
        """Count bricks while the condition is true; a retreat or an opposite brick restarts the count.

        One price can jump over several bricks and the level at once: only bricks ending at or beyond the level count.
        """
        inner = self.inner.moved(price, opening=opening)
        bricks, formed = (self.bricks, 0) if opening else self.bricks.at(price)
        waiting = inner.holds(price)
        count = 0
        if waiting and formed * self.toward >= 0:
            closes = (bricks.close - self.toward * bricks.size * number for number in range(abs(formed)))
            beyond = sum(1 for close in islice(closes, self.needed) if inner.holds(close))
            count = min(self.needed, self.count + beyond)
        return replace(self, inner=inner, bricks=bricks, waiting=waiting, count=count)

    @property
    def reached(self) -> int:
        """Return the progress of the inner state."""
        return self.inner.reached

    def following(self, before: RuleState) -> Self:
        """Keep the bricks if they have this size; the condition is confirmed again from the change on."""
        if not isinstance(before, Confirmed):
            return replace(self, inner=self.inner.following(before))
        bricks = before.bricks if before.bricks.size == self.bricks.size else self.bricks
        return replace(self, inner=self.inner.following(before.inner), bricks=bricks)

    def marked(self, watermark: int) -> Self:
        """Return the state with the inner state's watermark."""
        return replace(self, inner=self.inner.marked(watermark))

    def saved(self) -> Saved:
        """Return the last brick, the count, and the inner state."""
        inner = {f"inner_{name}": value for name, value in self.inner.saved().items()}
        return saved_bricks(self.bricks) | {"waiting": int(self.waiting), "count": self.count} | inner

    def restored(self, saved: Saved) -> Self:
        """Return the saved state."""
        if not saved:
            return self
        inner = {name.removeprefix("inner_"): value for name, value in saved.items() if name.startswith("inner_")}
        return replace(
            self,
            inner=self.inner.restored(inner),
            bricks=restored_bricks(self.bricks, saved),
            waiting=bool(saved["waiting"]),
            count=saved["count"],
        )


def saved_bricks(bricks: Bricks) -> Saved:
    """Return the checkpoint form of bricks; their size comes from the plan."""
    return {"brick_close": bricks.close, "brick_direction": bricks.direction}


def restored_bricks(at_entry: Bricks, saved: Saved) -> Bricks:
    """Return the saved bricks."""
    return replace(at_entry, close=saved["brick_close"], direction=saved["brick_direction"])
