"""BRICK_REVERSAL: exit once enough bricks formed against the trade."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.brick_plan import BrickFields, bricks_at_entry
from shared.exit_rules.bricks import Bricks
from shared.exit_rules.confirmation import restored_bricks, saved_bricks
from shared.exit_rules.levels import ALWAYS, Level
from shared.exit_rules.rule import ExitRule, PlanOption, Position, RuleState, Saved
from shared.exit_rules.scale import PlanScale
from shared.money import money_text


@dataclass(frozen=True, slots=True)
class Reversal(RuleState):
    """Counts consecutive bricks against the trade."""

    bricks: Bricks
    needed: int
    count: int = 0

    @property
    def fire(self) -> Level | None:
        """Return a level for every price, from the last needed brick against the trade until one toward profit."""
        return ALWAYS if self.count >= self.needed else None

    @property
    def condition(self) -> None:
        """Return None: no price alone decides a reversal."""
        return None

    @property
    def moves(self) -> tuple[Level, ...]:
        """Return the next brick levels."""
        return self.bricks.next_levels

    def moved(self, price: int, *, opening: bool) -> Self:
        """Count the bricks formed by a price."""
        bricks, formed = (self.bricks, 0) if opening else self.bricks.at(price)
        if not formed:
            return self
        return replace(self, bricks=bricks, count=min(self.needed, self.count - formed) if formed < 0 else 0)

    def following(self, before: RuleState) -> Self:
        """Keep the bricks and their count; start from the entry if there were none of this size."""
        if not isinstance(before, Reversal) or before.bricks.size != self.bricks.size:
            return self
        return replace(self, bricks=before.bricks, count=min(self.needed, before.count))

    def saved(self) -> Saved:
        """Return the last brick and the count."""
        return saved_bricks(self.bricks) | {"count": self.count}

    def restored(self, saved: Saved) -> Self:
        """Return the saved state."""
        if not saved:
            return self
        return replace(self, bricks=restored_bricks(self.bricks, saved), count=saved["count"])


class BrickReversal(ExitRule[BrickFields]):
    """Exit after `reversal` consecutive bricks against the trade."""

    reason = ExitReason.BRICK_REVERSAL
    options = (
        PlanOption("brick-size", ("bricks", "size"), "Size of Renko bricks, in rupees."),
        PlanOption("brick-confirm", ("bricks", "confirm"), "Bricks to confirm a target or a trailing stop.", int),
        PlanOption("brick-reversal", ("bricks", "reversal"), "Exit after this many bricks against the trade.", int),
    )

    def start(self, plan: BrickFields, position: Position) -> Mapping[int | None, RuleState]:
        """Return one state for the whole remainder."""
        if plan.bricks is None or plan.bricks.reversal is None:
            return {}
        return {None: Reversal(bricks_at_entry(plan.bricks, position), plan.bricks.reversal)}

    def change_contradictions(self, before: BrickFields, after: BrickFields) -> list[str]:
        """Reject another size: bricks already formed have the size of the entry."""
        if before.bricks is None or after.bricks is None or before.bricks.size == after.bricks.size:
            return []
        size, wanted = money_text(before.bricks.size), money_text(after.bricks.size)
        return [f"bricks.size is {size} since the entry and cannot change to {wanted}"]

    def scaled(self, plan: BrickFields, scale: PlanScale) -> Mapping[str, object]:
        """Return the bricks, those of confirmation too, in their new size."""
        if plan.bricks is None:
            return {}
        return {"bricks": plan.bricks.model_copy(update={"size": scale.distance(plan.bricks.size)})}
